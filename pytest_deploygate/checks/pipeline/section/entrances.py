"""The ways in: how synthetic events are sent."""

import re
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import HttpRequest, Method, Statuses, Url
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    Port,
    SecretReference,
    Section,
    Text,
)
from pytest_deploygate.fields.validating import After
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


WebSocketUrl = Annotated[Text, After(_ws_url)]
AmqpUrl = Annotated[Text, After(_amqp_url)]
Message = Annotated[dict[str, Any], After(_known_places), Field(min_length=1)]


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
