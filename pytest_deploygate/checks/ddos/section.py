"""The inventory's `ddos` section: the rate limits of the front, and how long it waits for slow clients."""

import ipaddress
import math
import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from pytest_deploygate.checks.hosts.section import Hosts, not_listed_yet
from pytest_deploygate.fields.http import HttpRequest, Statuses, Url
from pytest_deploygate.fields.types import Duration, FilePath, Given, InventoryKeys, Section, Text
from pytest_deploygate.fields.validating import After, Before
from pytest_deploygate.problems import nearest

#: How a client holds a connection: `headers` and `body` come byte by byte or line by line, `stalled-body` stops after its
#: headers, `silent` sends nothing at all, `kept` nothing after an answer, `reader` does not read its answer.
Kind = Literal["headers", "body", "stalled-body", "silent", "kept", "reader"]
KINDS: tuple[Kind, ...] = ("headers", "body", "stalled-body", "silent", "kept", "reader")
#: Headers in which proxies say who the client is.
FORGED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|min|m|h)")
_UNIT_S = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: So many requests beyond the first refusal tell a rate to about a tenth.
_ENOUGH = 12
_LONGEST_S = 60.0
#: A limit with a smaller burst than this loses what it could let through until the next request comes.
_SAVES = 2
_OFTEN = 200.0
#: Of a smaller burst the second source uses nothing up.
_ROOM = 6


def _per_second(value: object) -> object:
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if isinstance(value, float):  # has been read before
        return value
    if not found or not float(found[1]):
        raise ValueError(f"{value!r} is not a rate: write for example 20/s, 30/min or 100/h")
    return float(found[1]) / _UNIT_S[found[2]]


def _an_address(value: str) -> str:
    if value.isdigit():  # stands for a value that is not there yet
        return value
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address, for example 192.0.2.10 or 2001:db8::10") from None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


def _a_header(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header")
    return name


def _a_path(path: str) -> str:
    if not re.fullmatch(r"/[!-~]*", path):
        raise ValueError(f"{path!r} is not a path such as /search")
    return path


_STRINGS: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
#: Requests per second, written with a unit.
Rate = Annotated[
    float,
    Before(_per_second),
    WithJsonSchema({"type": "string", "pattern": _RATE.pattern, "examples": ["20/s", "30/min"]}),
]
Addresses = Annotated[list[Annotated[Text, After(_an_address)]], Before(_as_list), WithJsonSchema(_STRINGS)]


class Limit(HttpRequest):
    """A request that one source may send only so often. It must be safe to repeat: it changes nothing."""

    name: str = Field(description="name used in findings")
    url: Url = Field(description="address of the request")
    addresses: Addresses = Field(
        default=[], description="addresses of the server that are tried; left out: those of its name"
    )
    rate: Rate = Field(
        description="requests that one source may send in the long run, for example `20/s` or `30/min`",
    )
    burst: int = Field(
        ge=1,
        le=2000,
        description="requests that one source may send at once, after it was silent",
    )
    tolerance: int = Field(
        default=25,
        ge=5,
        le=200,
        json_schema_extra={"weaker": "larger"},
        description="by how many per cent what is found may be above `rate` and `burst`",
    )
    refused: Statuses = Field(default=[429, 503], description="HTTP status of a refusal, or a list of them")
    retry_after: bool = Field(
        default=False,
        json_schema_extra={"weaker": "false"},
        description="whether a refusal must have Retry-After",
    )
    paths: list[Annotated[str, After(_a_path)]] = Field(
        default=[],
        description="other safe paths of the same server that the limit must count together with this one",
    )
    ipv6_prefix: int | None = Field(
        default=None,
        ge=32,
        le=127,
        json_schema_extra={"weaker": "null"},
        description="length of the prefix of IPv6 addresses that count as one source, for example 64, which most customers have; "
        "needs two such addresses in `burst_from`",
    )
    http2: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="whether many requests over one HTTP/2 connection are tried, too, if the server speaks it",
    )
    recovers: Duration = Field(
        default=timedelta(seconds=30),
        json_schema_extra={"weaker": "larger"},
        description="time after its last request in which a limited source is served again",
    )
    most: int = Field(
        default=1000,
        ge=20,
        le=5000,
        description="most requests of one burst; if none of them is refused, there is no limit that matters",
    )

    @property
    def at_once(self) -> int:
        """How many requests begin a burst: enough to use up what is declared, and some that must be refused."""
        return min(self.most, math.ceil(self.burst * 1.5) + 5)

    @property
    def offered(self) -> float:
        """Requests per second after that: twice the declared rate, and more of a limit that cannot save up anything."""
        often = 0.0 if self.burst > _SAVES else min(10 * self.rate, _OFTEN)
        return max(2 * self.rate, often, 4.0)

    @property
    def lasts_s(self) -> float:
        """How long they are offered."""
        return min(max(2.0, _ENOUGH / self.rate), _LONGEST_S)

    @property
    def varied(self) -> int:
        """How many requests try one way around the limit: more than it lets through in the second that they take."""
        return math.ceil(self.rate * 0.6) + 10

    @property
    def every_s(self) -> float:
        """How often the second source asks: below the declared rate, or as often as half of the burst allows."""
        steadily = 1.5 / self.rate
        return max(
            0.2, min(steadily, self.lasts_s / (self.burst / 2 - 1)) if self.burst >= _ROOM else steadily
        )

    @property
    def patience_s(self) -> float:
        """How long recovery is waited for, in seconds; it is not judged by the probe."""
        return self.recovers.total_seconds() + 1.0

    def same_network(self, one: str, other: str) -> bool:
        """Tell whether two IPv6 addresses are of one network: of a /64, which one customer has, unless `ipv6_prefix` is set."""
        if ":" not in one or ":" not in other:
            return False
        network = ipaddress.ip_network((one, self.ipv6_prefix or 64), strict=False)
        return ipaddress.ip_address(other) in network


class Slow(HttpRequest):
    """An address whose server must not wait for slow clients. Requests with a body are sent with POST."""

    name: str = Field(description="name used in findings")
    url: Url = Field(description="address of the request")
    large: Annotated[str, After(_a_path)] | None = Field(
        default=None,
        json_schema_extra={"weaker": "null"},
        description="path of an answer of 16 MB or more on the same server, which a slow reader asks for",
    )
    leave_out: list[Kind] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="ways of holding a connection that are not tried: `headers` and `body` drip, `stalled-body` stops after its "
        "headers, `silent` sends nothing, `kept` nothing after an answer",
    )
    headers_within: Duration = Field(
        default=timedelta(seconds=30),
        json_schema_extra={"weaker": "larger"},
        description="time after which a connection is cut whose headers are not complete",
    )
    body_within: Duration = Field(
        default=timedelta(seconds=60),
        json_schema_extra={"weaker": "larger"},
        description="the same for a body",
    )
    idle_within: Duration = Field(
        default=timedelta(seconds=90),
        json_schema_extra={"weaker": "larger"},
        description="the same for a connection on which nothing is sent, from the beginning or after an answer",
    )
    read_within: Duration = Field(
        default=timedelta(seconds=90),
        json_schema_extra={"weaker": "larger"},
        description="the same for an answer that nobody reads",
    )
    drip: Duration = Field(
        default=timedelta(seconds=1),
        json_schema_extra={"weaker": "larger"},
        description="time between two lines of headers, or two bytes of a body",
    )
    http2: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="whether they are held over HTTP/2, too, if the server speaks it",
    )
    connections: int = Field(default=3, ge=1, le=50, description="connections of each kind at the same time")
    most_connections: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="connections that one source may have at the same time; left out: not tried. Their requests have no body, so "
        "the server must wait for one",
    )

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """How connections are held."""
        return tuple(
            kind
            for kind in KINDS
            if kind not in self.leave_out and (kind != "reader" or self.large is not None)
        )

    @property
    def crowd(self) -> int:
        """How many connections are opened to see whether all of them may be; 0 if nobody says how many may."""
        return self.most_connections + max(3, self.most_connections // 4) if self.most_connections else 0

    def within_s(self, kind: str) -> float:
        """Return the time after which a connection of a kind is cut, in seconds."""
        bounds = {"headers": self.headers_within, "reader": self.read_within}
        bounds |= dict.fromkeys(("body", "stalled-body"), self.body_within)
        return bounds.get(kind, self.idle_within).total_seconds()

    def patience_s(self, kind: str) -> float:
        """Return how long a connection of a kind is held if it is not cut, in seconds."""
        return self.within_s(kind) * 1.1 + 1.0


class Second(Section):
    """The second place that requests come from. It must be another client for the front than the first."""

    address: Addresses = Field(
        default=[],
        description="its source addresses: of this machine, or, with `host`, those that the front sees",
    )
    host: str | None = Field(
        default=None, description="host of `hosts.servers` that sends them, with python3 (3.7 or later)"
    )

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if not self.address and self.host is None:
            raise ValueError("set `host`, or `address` for another address of this machine")
        return self


class Ddos(Section):
    """The rate limits of the front and its patience with slow clients.

    Bursts are sent if `opt_in` is the inventory's name, or with `--allow-disruptive`; otherwise their dated record is judged.
    """

    limits: list[Limit] = Field(min_length=1, description="the requests that are limited by their source")
    slow: list[Slow] = Field(
        min_length=1, description="where connections are held by slow clients, one for each server"
    )
    burst_from: Addresses = Field(
        default=[],
        description="source addresses of the burst; left out: the system's choice. Further ones of an IPv6 network try whether it "
        "counts as one source",
    )
    second: Second = Field(description="the source that must be served meanwhile")
    second_within: Duration = Field(
        default=timedelta(seconds=2),
        json_schema_extra={"weaker": "larger"},
        description="time in which the second source is answered during the burst",
    )
    trusted_headers: list[Annotated[str, After(_a_header)]] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="headers that may say who the client is when they come from here, because this machine is a trusted proxy; "
        f"without it {', '.join(FORGED)} must not",
    )
    more_headers: list[Annotated[str, After(_a_header)]] = Field(
        default=[],
        description="further headers that must not say who the client is, for example Fastly-Client-IP",
    )
    connections: int = Field(default=24, ge=2, le=200, description="connections that a burst uses")
    timeout: Duration = Field(default=timedelta(seconds=5), description="for each answer")
    opt_in: str = Field(
        default="", description="the inventory's name: this environment may be sent bursts and slow requests"
    )
    record: FilePath | None = Field(default=None, description="file to which a run writes its dated record")
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=90),
        description="a record older than this does not count",
    )

    @property
    def forged(self) -> list[str]:
        """The headers with a false address of the client."""
        trusted = {name.lower() for name in self.trusted_headers}
        return [name for name in (*FORGED, *self.more_headers) if name.lower() not in trusted]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for entries in (self.limits, self.slow):
            names = [entry.name for entry in entries]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"two entries are named {twice!r}")
        return self

    @model_validator(mode="after")
    def _no_secret_on_a_command_line(self) -> Self:
        secret = next((limit.name for limit in self.limits if limit.login is not None), None)
        if secret and self.second.host is not None:
            raise ValueError(
                f"the limit {secret!r} logs in, and `second.host` would have its secret on a command line: use `second.address`, or a "
                "request without a login"
            )
        return self


class Keys(InventoryKeys):
    """The key `ddos`."""

    ddos: Annotated[
        Ddos | None,
        Given(
            "ddos",
            "ddos: {limits: [{name: search, url: 'https://app.example.com/search', rate: 20/s, burst: 40}], "
            "slow: [{name: front, url: 'https://app.example.com/'}], second: {host: web1}}",
        ),
    ] = Field(default=None, description="rate limits, and patience with slow clients")

    @model_validator(mode="after")
    def _the_host_is_known(self) -> Self:
        hosts: Hosts | None = getattr(self, "hosts", None)
        name = self.ddos.second.host if self.ddos else None
        if name is None or (hosts and not_listed_yet(hosts)):
            return self
        names = [host.name for host in hosts.servers] if hosts else []
        if name not in names:
            said = (
                f"no host is named {name!r}{nearest(name, names)}"
                if hosts
                else f"{name!r} is no host: the inventory has no `hosts` section"
            )
            error = PydanticCustomError("value_error", "{said}", {"said": said})
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [InitErrorDetails(type=error, loc=("ddos", "second", "host"), input=None)],
            )
        return self
