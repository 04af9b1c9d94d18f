"""The inventory's `load_balancer` section: pools of backends, how they are balanced, and who can tell what of them."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import HttpAccess, HttpRequest, Url
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    FilePath,
    Given,
    InventoryKeys,
    Section,
    Text,
    Words,
)
from pytest_deploygate.fields.validating import After
from pytest_deploygate.problems import nearest

_PLACE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")


def _place(value: str) -> str:
    found = _PLACE.fullmatch(value)
    if not found or not 1 <= int(found[2]) <= 65535:
        raise ValueError(
            f"{value!r} is no address with a port: write for example 192.0.2.10:443 or [2001:db8::1]:443"
        )
    return value


def _with_group(pattern: str | None) -> str | None:
    if pattern is None:
        return None
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if found.groups != 1:
        raise ValueError(f"{pattern!r} needs one group in parentheses, which is the backend's name")
    return pattern


#: An address and a port.
Place = Annotated[Text, After(_place)]


def split(place: str) -> tuple[str, int]:
    """Return host and port of a place."""
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)


class ToldBy(Section):
    """How one finds out which backend served a connection."""

    exactly_one = ("header", "cookie", "body", "counters")
    instead = "say how an answer tells its backend: `header`, `cookie` or `body`; or `counters: true` for the balancer's own"

    header: str | None = Field(default=None, description="a header of the answer that names the backend")
    cookie: str | None = Field(
        default=None,
        description="a cookie of the answer that names the backend, e.g. that of a sticky balancer",
    )
    body: Annotated[str | None, After(_with_group)] = Field(
        default=None,
        description="regular expression whose one group is the backend's name in the answer's first 64 kB",
    )
    counters: Literal[True] | None = Field(
        default=None, description="answers do not tell: the counters of `control` are read before and after"
    )


class HttpRequestAt(HttpRequest):
    """A request to a URL."""

    url: Url = Field(description="URL of the backend itself, not through the balancer")


class Backend(Section):
    """One backend of a pool."""

    name: Text = Field(description="its name in findings, and in HAProxy")
    weight: int = Field(default=1, ge=1, le=10_000, description="its weight, as declared to the balancer")
    tells: Text | None = Field(default=None, description="what an answer says of it, if that is not its name")
    address: Text | None = Field(
        default=None,
        description="how the balancer writes it (nginx and Envoy: address and port), if that is not its name",
    )
    out: Literal["drain", "maint", "backup"] | None = Field(
        json_schema_extra={"weaker": "any"},
        default=None,
        description="it is not in rotation on purpose, as the balancer says it; `backup`: used when all others are down",
    )
    health: HttpRequestAt | None = Field(
        default=None, description="its health check, as asked at the backend itself"
    )


class CsvAt(HttpAccess):
    """HAProxy's statistics as CSV."""

    url: Url = Field(description="for example `http://lb1.example.com:8404/stats;csv`")


class Haproxy(Section):
    """HAProxy: its runtime socket or its statistics, and its configuration."""

    exactly_one = ("socket", "statistics")
    instead = "set `socket` (a path or host:port) or `statistics` (a URL that ends with ;csv)"

    socket: Text | None = Field(
        default=None, description="its runtime API: a unix socket's path, or host:port"
    )
    statistics: CsvAt | None = Field(default=None, description="instead of it: its statistics page")
    backend: str = Field(description="the `backend` or `listen` section")
    config: ExistingPath | None = Field(
        default=None, description="its configuration: what a check accepts, TLS and slow start are read there"
    )
    config_command: Text | None = Field(default=None, description="instead of it: a command that prints it")


class Nginx(Section):
    """nginx, by its configuration: it tells no state of backends at run time."""

    exactly_one = ("command", "config")
    instead = "set `command` (for example `nginx -T`) or `config` (a file with what it prints)"

    command: Text | None = Field(
        default=None, description="command that prints the whole configuration: `nginx -T`"
    )
    config: ExistingPath | None = Field(default=None, description="a file with it")
    upstream: str = Field(description="the `upstream` block")


class Envoy(HttpAccess):
    """Envoy, by its administration interface."""

    admin: Url = Field(description="for example `http://127.0.0.1:9901`")
    cluster: str = Field(description="the cluster's name")


class Kubernetes(Section):
    """A Service of Kubernetes, by what `kubectl … -o json` prints."""

    slices: Text = Field(
        description="command: `kubectl get endpointslices -l kubernetes.io/service-name=NAME -o json`"
    )
    pods: Text | None = Field(
        default=None,
        description="command: `kubectl get pods -l app=NAME -o json`, for their readiness probes",
    )


class Control(Section):
    """One balancer that can tell what it knows of its backends."""

    exactly_one = ("haproxy", "nginx", "envoy", "kubernetes", "hook")

    name: Text = Field(description="its name in findings")
    haproxy: Haproxy | None = Field(default=None, description="HAProxy")
    nginx: Nginx | None = Field(default=None, description="nginx")
    envoy: Envoy | None = Field(default=None, description="Envoy")
    kubernetes: Kubernetes | None = Field(default=None, description="a Service of Kubernetes")
    hook: Text | None = Field(
        default=None,
        description="anything else, e.g. a cloud's: a command that prints JSON as described above",
    )


class Member(Section):
    """One of the machines behind a virtual address."""

    address: Place = Field(description="its own address and port, where the balancer answers as well")
    state: Text | None = Field(
        default=None, description="command that prints MASTER or BACKUP, e.g. from keepalived's notify script"
    )


class Redundancy(Section):
    """How the balancer itself is there twice."""

    exactly_one = ("addresses", "vrrp", "dns", "provider")
    instead = "say how the balancer itself is redundant: `addresses`, `vrrp`, `dns` or `provider`"

    addresses: list[Place] | None = Field(
        default=None,
        min_length=2,
        description="addresses with ports that all serve the pool at the same time",
    )
    vrrp: list[Member] | None = Field(
        default=None,
        min_length=2,
        description="machines that take over the address of `url` or `tcp` (VRRP, keepalived)",
    )
    dns: int | None = Field(
        default=None,
        ge=2,
        le=64,
        description="the name of `url` or `tcp` has at least so many addresses, which all serve it",
    )
    provider: Words | None = Field(
        default=None,
        json_schema_extra={"weaker": "any"},
        description="a provider keeps it redundant: who, and where that is promised; nothing is measured",
    )


class Drill(Section):
    """A drill (disruptive): the health of one backend turns bad and good again under a light load.

    It runs if `opt_in` is the inventory's name, or with `--allow-disruptive`; otherwise its dated record is judged.
    """

    backend: Text = Field(description="the backend whose health turns bad")
    break_: Text = Field(
        alias="break",
        description="command that makes it unhealthy: stop what it depends on, rather than itself",
    )
    repair: Text = Field(description="command that makes it healthy again; always run, also after an error")
    rate: float = Field(default=40.0, ge=2, le=200, description="new connections a second meanwhile")
    leaves_within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=10),
        description="its last answer must come within this time",
    )
    returns_within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=30),
        description="its first answer after the repair must come within this time",
    )
    max_errors: int = Field(
        json_schema_extra={"weaker": "larger"},
        default=0,
        ge=0,
        description="clients that may get an error or no answer meanwhile",
    )
    long_request: str | None = Field(
        default=None,
        pattern=r"^/\S*$",
        description="path whose answer takes some seconds: such requests run when the health turns bad, and must end well",
    )
    opt_in: str = Field(default="", description="the inventory's name: the drill may run in this environment")
    record: FilePath | None = Field(default=None, description="file to which a drill writes its dated record")
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=90),
        description="a record older than this does not count",
    )

    @property
    def patience_s(self) -> tuple[float, float]:
        """How long the drill waits for leaving and returning, in seconds: a probe waits this long and does not judge."""
        leaves, returns = self.leaves_within.total_seconds(), self.returns_within.total_seconds()
        return min(leaves * 1.5 + 2, leaves + 60), min(returns * 1.5 + 2, returns + 60)


class Pool(HttpAccess):
    """Backends that share the same requests."""

    exactly_one = ("url", "tcp")
    instead = "name what is asked through the balancer: `url`, or `tcp: HOST:PORT`"

    name: Text = Field(description="name used in findings")
    url: Url | None = Field(default=None, description="a harmless page that every backend serves")
    tcp: Place | None = Field(
        default=None, description="instead of it, for other protocols: the server's first words are read"
    )
    sends: str | None = Field(default=None, description="with `tcp`: text to send first, e.g. `PING\\r\\n`")
    layer: Literal[4, 7] = Field(
        default=7, description="4: the balancer passes connections on and does not look into requests"
    )
    balance: Literal["roundrobin", "random", "leastconn", "hash-source", "hash-url", "hash-header"] = Field(
        default="roundrobin", description="how a backend is chosen; weights always count"
    )
    hash_header: str | None = Field(default=None, description="with `hash-header`: the header")
    sticky: Literal["cookie", "source"] | None = Field(
        default=None, description="a client stays with its backend: by a cookie, or by its address"
    )
    told_by: ToldBy = Field(description="how one finds out which backend served a connection")
    backends: list[Backend] = Field(min_length=2, max_length=500, description="all backends of the pool")
    control: list[Control] = Field(
        default=[], description="the balancers, each asked what it knows of its backends"
    )
    checks: Literal["tcp", "passive"] | None = Field(
        json_schema_extra={"weaker": "any"},
        default=None,
        description="weaker health checks that suffice: `tcp` (the port accepts connections; always enough at layer 4), "
        "`passive` (only failed requests of users count, as in nginx); left out: the answer must be looked at",
    )
    tls: Literal["verified", "unverified", "none"] | None = Field(
        default=None, description="what the balancer speaks with its backends; left out: not judged"
    )
    slow_start: Duration | None = Field(
        default=None, description="a backend that returns gets its full share only after this time, at least"
    )
    redundancy: Redundancy | None = Field(default=None, description="how the balancer itself is there twice")
    floor: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        json_schema_extra={"weaker": "smaller"},
        description="each backend must get more than this part of its declared share",
    )
    error: float = Field(
        default=0.001,
        gt=0,
        le=0.05,
        description="error of the test of all shares together: how often balance as declared may be called wrong",
    )
    most_connections: int = Field(
        default=3000, ge=50, le=100_000, description="most connections for one measurement of the shares"
    )
    at_once: int = Field(default=8, ge=1, le=100, description="connections at the same time")
    drill: Drill | None = Field(default=None, description="how to test that a backend leaves and returns")

    @property
    def from_one_place(self) -> bool:
        """Whether all connections from one address reach the same backend, as declared."""
        return self.balance == "hash-source" or self.sticky == "source"

    @property
    def enough(self) -> str | None:
        """Which health checks suffice besides those that look at an answer."""
        return self.checks or ("tcp" if self.layer == 4 else None)

    @property
    def shares(self) -> dict[str, float]:
        """The declared share of each backend that is in rotation."""
        mine = {each.name: each.weight for each in self.backends if each.out is None}
        whole = sum(mine.values())
        return {name: weight / whole for name, weight in mine.items()}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [each.name for each in self.backends]
        told = [each.tells or each.name for each in self.backends]
        if len(set(names)) < len(names) or len(set(told)) < len(told):
            raise ValueError("two backends have the same name, or tell the same")
        if not self.shares:
            raise ValueError("no backend is `in` rotation")
        if self.drill and self.drill.backend not in self.shares:
            raise ValueError(
                f"drill: {self.drill.backend!r} is no backend in rotation{nearest(self.drill.backend, list(self.shares))}"
            )
        if (self.balance == "hash-header") != (self.hash_header is not None):
            raise ValueError("`hash_header` and `balance: hash-header` need each other")
        if self.tcp and (self.told_by.header or self.told_by.cookie or self.sticky == "cookie"):
            raise ValueError(
                "`tcp` has no headers and cookies: use `told_by: {body: …}` or `{counters: true}`"
            )
        if self.tcp and self.balance in ("hash-url", "hash-header"):
            raise ValueError("with `tcp` there are no URLs and headers to balance by")
        if self.sends is not None and not self.tcp:
            raise ValueError("`sends` is for `tcp` only")
        if self.drill and self.drill.long_request and not self.url:
            raise ValueError("`long_request` needs `url`")
        if self.told_by.counters and not self.control:
            raise ValueError("`told_by: {counters: true}` needs `control`, which has the counters")
        return self


class LoadBalancer(Section):
    """The load balancers."""

    pools: Annotated[
        list[Pool],
        Each(
            "balanced_pool",
            "load_balancer: {pools: [{name: web, url: https://www.example.com/version, told_by: {header: X-Backend}, backends: […]}]}",
        ),
    ] = Field(min_length=1, description="pools of backends")


class Keys(InventoryKeys):
    """The key `load_balancer`."""

    load_balancer: Annotated[
        LoadBalancer | None,
        Given(
            "load_balancer",
            "load_balancer: {pools: [{name: web, url: https://www.example.com/version, told_by: {header: X-Backend}, backends: […]}]}",
        ),
    ] = Field(default=None, description="pools behind load balancers")
