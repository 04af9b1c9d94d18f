"""The inventory's `pipeline` section: synthetic devices, the ways in and out of the platform, and how fast events must be."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pytest_deploygate.fields.http import HttpRequest, Method, Statuses, Url
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    Given,
    InventoryKeys,
    Port,
    SecretReference,
    Section,
    Text,
)
from pytest_deploygate.problems import nearest

#: What a message may refer to.
PLACES = ("id", "device", "sequence", "sent_at", "sent_at_ms", "value")
_PLACE = re.compile(r"\{(\w*)\}")


def _known_places(value: Any) -> Any:
    for text in _texts(value):
        for name in _PLACE.findall(text):
            if name not in PLACES:
                raise ValueError(
                    f"{{{name}}} is not known{nearest(name, PLACES)}; a message may refer to "
                    + ", ".join(f"{{{place}}}" for place in PLACES)
                )
    if not any("{id}" in text for text in _texts(value)):
        raise ValueError("no value of the message is {id}: events are told apart by it where they come out")
    return value


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def _ws_url(value: str) -> str:
    if not re.match(r"wss?://[^/\s]+", value):
        raise ValueError(f"{value!r} is not a WebSocket; write for example wss://app.example.com/ws/events")
    if re.match(r"wss?://[^/?#]*@", value):
        raise ValueError("a URL must not contain a user or password; add `token` or `auth` beside it")
    return value


def _amqp_url(value: str) -> str:
    if not re.match(r"amqps?://[^/\s@]+", value) or "@" in value:
        raise ValueError(
            f"{value!r} is not an AMQP server without a user; write for example amqps://mq.example.com/vhost"
        )
    return value


def _one_number(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(
            f"{pattern!r} has {groups} groups: the number must stand in exactly one, as in (\\d+) readings"
        )
    return pattern


WebSocketUrl = Annotated[Text, AfterValidator(_ws_url)]
AmqpUrl = Annotated[Text, AfterValidator(_amqp_url)]
Message = Annotated[dict[str, Any], AfterValidator(_known_places), Field(min_length=1)]


class EventLimits(Section):
    """How long events may take from when they were due at a device until they come out."""

    p50: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(milliseconds=500),
        description="half of all events must take less than this",
    )
    p99: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=2),
        description="99 of 100 events must take less than this",
    )
    alpha: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.05,
        gt=0,
        le=0.2,
        description="maximum probability of a wrong PASS, or of a wrong FAIL",
    )

    @model_validator(mode="after")
    def _half_before_most(self) -> Self:
        if self.p50 <= timedelta(0) or self.p99 < self.p50:
            raise ValueError("p50 must be over 0 and p99 at least p50")
        return self


class HttpEntrance(HttpRequest, TokenAccess):
    """Events sent by HTTP, one in a request. The body is the message. `{device}` in the address is the device's name."""

    url: Url = Field(description="address, e.g. https://app.example.com/api/readings")
    method: Method = Field(default="POST", description="HTTP method")
    status: Statuses = Field(
        default=[200, 201, 202, 204], description="HTTP status of an accepted event, or a list of them"
    )
    timeout: Duration = Field(default=timedelta(seconds=5), description="how long an answer may take")

    @model_validator(mode="after")
    def _has_no_body(self) -> Self:
        if self.sent is not None:
            raise ValueError("the body is the `message`: leave `body` and `json` out")
        return self


class MqttEntrance(Section):
    """Events published by MQTT, on one connection."""

    host: Text = Field(description="the broker")
    port: Port | None = Field(default=None, description="its port; by default 8883 with TLS, else 1883")
    topic: str = Field(
        min_length=1,
        pattern=r"^[^+#]+$",
        description="topic, in which `{device}` is the device's name, e.g. readings/{device}",
    )
    qos: Literal[0, 1] = Field(
        default=1,
        json_schema_extra={"weaker": "any"},
        description="quality of service: with 0 the broker does not say what it accepted",
    )
    version: Literal["3.1.1", "5"] = Field(
        default="5",
        coerce_numbers_to_str=True,
        description="version of MQTT; with 5 the broker says that it refuses an event, or that nobody subscribed",
    )
    user: Text | None = Field(default=None, description="user")
    password: SecretReference | None = Field(default=None, description="reference to its password")
    tls: bool = Field(default=True, json_schema_extra={"weaker": "false"}, description="whether TLS is used")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )


class KafkaEntrance(Section):
    """Events written to a topic of Kafka with `acks=all`. The device's name is the key, which keeps its order."""

    servers: Annotated[list[Text], Field(min_length=1)] = Field(
        description="brokers to begin with, as host:port"
    )
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$", description="topic")
    user: Text | None = Field(default=None, description="user for SASL")
    password: SecretReference | None = Field(default=None, description="reference to its password")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="how the user logs in"
    )
    tls: bool = Field(default=True, json_schema_extra={"weaker": "false"}, description="whether TLS is used")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )


class AmqpEntrance(Section):
    """Events published by AMQP 0-9-1 (RabbitMQ) with publisher confirms. An event that no queue takes is refused."""

    url: AmqpUrl = Field(description="the broker and the virtual host, e.g. amqps://mq.example.com/platform")
    exchange: str = Field(default="", description="exchange (default: the default exchange)")
    routing_key: str = Field(
        min_length=1,
        description="routing key, in which `{device}` is the device's name, e.g. readings.{device}",
    )
    user: Text | None = Field(default=None, description="user")
    password: SecretReference | None = Field(default=None, description="reference to its password")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )


class WebSocketEntrance(TokenAccess):
    """Events sent on one WebSocket. What comes back with an event's id is its acknowledgement."""

    url: WebSocketUrl = Field(description="address, e.g. wss://app.example.com/ws/ingest")
    acknowledges: bool = Field(
        default=False, description="whether the platform answers each event with a message that has its id"
    )


class Entrance(Section):
    """One way into the platform. Exactly one of the protocols."""

    ways: ClassVar[tuple[str, ...]] = ("http", "mqtt", "kafka", "amqp", "websocket")
    exactly_one = ways
    instead = "say how events enter: exactly one of `http`, `mqtt`, `kafka`, `amqp`, `websocket`"

    name: str = Field(min_length=1, description="its name in findings")
    http: HttpEntrance | None = Field(default=None, description="requests")
    mqtt: MqttEntrance | None = Field(default=None, description="an MQTT broker")
    kafka: KafkaEntrance | None = Field(default=None, description="a topic of Kafka")
    amqp: AmqpEntrance | None = Field(default=None, description="RabbitMQ, or another broker of AMQP 0-9-1")
    websocket: WebSocketEntrance | None = Field(default=None, description="a WebSocket")
    message: Message | None = Field(default=None, description="instead of `pipeline.message`")
    devices: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None, description="those of `pipeline.devices` that use it (default: shared evenly)"
    )

    @property
    def way(self) -> str:
        """Its protocol: one of `ways`."""
        return next(way for way in self.ways if getattr(self, way) is not None)

    @property
    def in_sequence(self) -> bool:
        """Whether all events go one after another on one connection; requests overtake each other."""
        return self.http is None

    @property
    def acknowledges(self) -> bool:
        """Whether the other side says which events it accepted."""
        if self.mqtt is not None:
            return self.mqtt.qos > 0
        return self.websocket is None or self.websocket.acknowledges


class WebSocketExit(TokenAccess):
    """Events that are pushed on a WebSocket."""

    url: WebSocketUrl = Field(description="address, e.g. wss://app.example.com/ws/events")
    subscribe: list[str] = Field(default=[], description="texts to send after connecting, in this order")


class SseExit(TokenAccess):
    """Events that are pushed as server-sent events."""

    url: Url = Field(description="address, e.g. https://app.example.com/events")


class Polled(Section):
    """Where events are kept, and read again and again."""

    every: Duration = Field(
        default=timedelta(milliseconds=500),
        ge=timedelta(milliseconds=50),
        description="how often it is read; an event's delay is known to this",
    )
    order: Literal["oldest first", "newest first"] | None = Field(
        default=None,
        description="how an answer is sorted, by when events were stored; left out: order is not judged here",
    )


class ApiExit(HttpRequest, TokenAccess, Polled):
    """Events read through the platform's API. `{device}` in the address asks once for each device."""

    url: Url = Field(
        description="address; `{since}` is a time shortly before the test, e.g. …/readings?since={since}&limit=10000"
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="how long an answer may take")


class DatabaseExit(Polled):
    """Events read from the platform's database."""

    query: str = Field(
        min_length=1,
        description="query whose rows have the ids; %(devices)s is the list of devices, %(since)s a time shortly before the test",
    )


class Exit(Section):
    """One way out of the platform. Exactly one of the protocols."""

    ways: ClassVar[tuple[str, ...]] = ("websocket", "sse", "api", "database")
    exactly_one = ways
    instead = "say where events come out: exactly one of `websocket`, `sse`, `api`, `database`"

    name: str = Field(min_length=1, description="its name in findings")
    websocket: WebSocketExit | None = Field(default=None, description="pushed on a WebSocket")
    sse: SseExit | None = Field(default=None, description="pushed as server-sent events")
    api: ApiExit | None = Field(default=None, description="read through an API")
    database: DatabaseExit | None = Field(default=None, description="read from the database")
    id: str = Field(
        default="",
        description="where an event's id stands in what comes out, as keys with dots between, e.g. data.id (default: anywhere)",
    )
    limits: EventLimits | None = Field(default=None, description="instead of `pipeline.limits`")

    @property
    def way(self) -> str:
        """Its protocol: one of `ways`."""
        return next(way for way in self.ways if getattr(self, way) is not None)

    @property
    def keeps(self) -> bool:
        """Whether events are stored there."""
        return self.api is not None or self.database is not None

    @property
    def has_order(self) -> bool:
        """Whether the order in which events came out can be seen."""
        polled = self.api or self.database
        return polled is None or polled.order is not None


class Page(HttpRequest, TokenAccess):
    """What users see or read, and which must not show synthetic devices."""

    name: str = Field(min_length=1, description="its name in findings")
    url: Url = Field(description="address")
    timeout: Duration = Field(default=timedelta(seconds=10), description="how long an answer may take")


class CountingPage(Page):
    """A page with a number of events, among which synthetic ones must not be."""

    number: Annotated[str, AfterValidator(_one_number)] = Field(
        description=r"regular expression with the number in its only group, e.g. (\d+) readings today"
    )


class NamedQuery(Section):
    """A query of what users see, such as an aggregate."""

    name: str = Field(min_length=1, description="its name in findings")
    query: str = Field(
        min_length=1,
        description="query that returns the rows about synthetic devices; %(devices)s is their list",
    )


class LeftOut(Section):
    """Where synthetic devices must not be seen."""

    pages: list[Page] = Field(
        default=[], description="answers that must not have a synthetic device or event"
    )
    numbers: list[CountingPage] = Field(
        default=[], description="numbers that must not rise by the synthetic events"
    )
    queries: list[NamedQuery] = Field(default=[], description="queries that must return no row")


class CleanRequest(HttpRequest, TokenAccess):
    """A request that takes synthetic events away. `{device}` in the address asks once for each device."""

    url: Url = Field(description="address")
    method: Method = Field(default="DELETE", description="HTTP method")
    status: Statuses = Field(
        default=[200, 202, 204, 404], description="HTTP status of a good answer, or a list of them"
    )
    timeout: Duration = Field(default=timedelta(seconds=15), description="how long an answer may take")


class CleanUp(Section):
    """One step that takes synthetic events away. Exactly one."""

    exactly_one = ("http", "sql")

    http: CleanRequest | None = Field(default=None, description="request")
    sql: str | None = Field(default=None, description="statement; %(devices)s is the list of devices")


class DatabaseLogin(Section):
    """The role that runs statements of `clean_up`."""

    user: str = Field(description="role")
    password: SecretReference | None = Field(default=None, description="reference to its password")


class Pipeline(Section):
    """Events from synthetic devices: how they enter, where they come out, and how fast.

    Events are sent if `opt_in` is the inventory's name, or with `--allow-disruptive`.
    """

    opt_in: str = Field(
        default="", description="the inventory's name: synthetic events may be sent in this environment"
    )
    devices: Annotated[list[Annotated[str, Field(min_length=3)]], Field(min_length=1)] = Field(
        description="names of synthetic devices, which no real device has"
    )
    message: Message = Field(
        default={"id": "{id}", "device": "{device}", "sent_at": "{sent_at}", "value": "{value}"},
        description="an event, as JSON; a text that is nothing but {sequence}, {sent_at_ms} or {value} becomes a number",
    )
    value: float = Field(default=20.0, description="the value of every event: one that raises no alert")
    entrances: Annotated[list[Entrance], Field(min_length=1)] = Field(description="the ways in")
    exits: Annotated[list[Exit], Field(min_length=1)] = Field(
        description="the ways out: all show every event"
    )
    events: int = Field(
        default=1000,
        ge=10,
        le=1_000_000,
        json_schema_extra={"weaker": "smaller"},
        description="how many events are sent, over all ways in",
    )
    per_second: float = Field(
        default=100,
        gt=0,
        le=10_000,
        json_schema_extra={"weaker": "smaller"},
        description="how many events are sent each second",
    )
    limits: EventLimits = Field(default=EventLimits(), description="how long events may take")
    within: Duration = Field(
        default=timedelta(seconds=10),
        json_schema_extra={"weaker": "larger"},
        description="an event that has not come out after this is lost",
    )
    look_on: Duration = Field(
        default=timedelta(seconds=2),
        json_schema_extra={"weaker": "smaller"},
        description="how long to look for more of the same events after all have come out",
    )
    left_out: LeftOut = Field(default=LeftOut(), description="where synthetic devices must not be seen")
    clean_up: list[CleanUp] = Field(
        default=[], description="steps that take synthetic events away, before a test and after it"
    )
    role: DatabaseLogin | None = Field(default=None, description="the role for `sql` of `clean_up`")

    def limits_of(self, out: Exit) -> EventLimits:
        """The limits of one exit."""
        return out.limits or self.limits

    def message_of(self, entrance: Entrance) -> Mapping[str, Any]:
        """The message of one entrance."""
        return entrance.message or self.message

    @property
    def lasts_s(self) -> float:
        """How long sending takes."""
        return self.events / self.per_second

    @property
    def shares(self) -> list[tuple[str, int]]:
        """Each device with the number of the entrance that it uses."""
        named = {device: n for n, entrance in enumerate(self.entrances) for device in entrance.devices or ()}
        free = [n for n, entrance in enumerate(self.entrances) if entrance.devices is None]
        rest = [device for device in self.devices if device not in named]
        named |= {device: free[n % len(free)] for n, device in enumerate(rest)}
        return [(device, named[device]) for device in self.devices]

    @property
    def needs_database(self) -> bool:
        """Whether something is read from, or done in, the database."""
        return (
            any(out.database for out in self.exits)
            or bool(self.left_out.queries)
            or any(step.sql for step in self.clean_up)
        )

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self


def _contradictions(pipeline: Pipeline) -> list[str]:
    """Return the contradictions in the section, in words."""
    found = []
    for what, names in (
        ("devices", pipeline.devices),
        ("entrances", [each.name for each in pipeline.entrances]),
        ("exits", [each.name for each in pipeline.exits]),
    ):
        if twice := next((name for name in names if names.count(name) > 1), None):
            found.append(f"two of `{what}` are called {twice!r}")
    found += [
        f"the entrance {entrance.name!r} names the device {device!r}, which is not in `devices`"
        f"{nearest(device, pipeline.devices)}"
        for entrance in pipeline.entrances
        for device in entrance.devices or ()
        if device not in pipeline.devices
    ]
    given = [device for entrance in pipeline.entrances for device in entrance.devices or ()]
    if twice := next((device for device in given if given.count(device) > 1), None):
        found.append(f"the device {twice!r} uses two entrances: its order would mean nothing")
    open_ones = [entrance.name for entrance in pipeline.entrances if entrance.devices is None]
    rest = [device for device in pipeline.devices if device not in given]
    if rest and not open_ones:
        found.append(f"the device {rest[0]!r} uses no entrance: each of them names its own `devices`")
    if len(rest) < len(open_ones):
        found.append(
            f"the entrance {open_ones[-1]!r} gets no device: name at least as many `devices` as there are entrances"
        )
    if any(step.sql for step in pipeline.clean_up) and pipeline.role is None:
        found.append(
            "`clean_up` has `sql`: name the role that may do that with `role: {user: …, password: …}`"
        )
    return found


class Keys(InventoryKeys):
    """The key `pipeline`."""

    pipeline: Annotated[
        Pipeline | None,
        Given(
            "pipeline",
            "pipeline: {opt_in: NAME, devices: [synthetic-1], entrances: [{name: http, http: {url: …}}], "
            "exits: [{name: live, websocket: {url: 'wss://…'}}]}",
        ),
    ] = Field(default=None, description="events that synthetic devices send, and where they come out")
