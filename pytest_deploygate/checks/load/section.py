"""The inventory's `load` section: which requests, at which rate, for how long, their limits, and where load is allowed.

Load is sent only where `allow` repeats the inventory's name. Elsewhere the server's own histograms can be judged.
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import HttpLogin, HttpRequest
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    FilePath,
    Given,
    InventoryKeys,
    Port,
    Section,
    Size,
)

#: More than a client of one process can keep on time.
_MOST_PER_SECOND = 50_000
_PORTS = {"http": 80, "https": 443}


class LatencyLimits(Section):
    """How fast requests must be. A limit is met when the counts show it at the stated confidence."""

    p50: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(milliseconds=200),
        description="half of all requests must take less than this",
    )
    p99: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(milliseconds=500),
        description="99 of 100 requests must take less than this",
    )
    alpha: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.05,
        gt=0,
        le=0.2,
        description="maximum probability of a wrong PASS, or of a wrong FAIL",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.p50 <= timedelta(0) or self.p99 < self.p50:
            raise ValueError("p50 must be over 0 and p99 at least p50")
        return self


class LoadTarget(Section):
    """The server that gets the load."""

    scheme: Literal["http", "https"] = Field(default="https", description="http or https")
    host: str = Field(pattern=r"^[A-Za-z0-9._:\[\]-]+$", description="host name or address")
    port: Port | None = Field(default=None, description="port; by default 443, or 80 for http")
    http: Literal["1.1", "2"] = Field(
        default="1.1", description="HTTP version: 1.1 or 2", coerce_numbers_to_str=True
    )
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )
    verify: bool = Field(
        json_schema_extra={"weaker": "false"}, default=True, description="whether the certificate is verified"
    )
    connect_to: str | None = Field(
        default=None,
        pattern=r"^[0-9A-Fa-f.:]+$",
        description="address to connect to instead of the host's own (before DNS is switched)",
    )

    @property
    def origin(self) -> str:
        """`https://host:port`, without the port if it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"{self.scheme}://{host}{f':{self.port}' if self.port else ''}"

    def is_at(self, url: str) -> bool:
        """Whether an address that another program requested is of this server: same scheme, host and port."""
        try:
            asked, own = urlsplit(url), urlsplit(self.origin)
            ports = [one.port or _PORTS.get(one.scheme) for one in (asked, own)]
        except ValueError:
            return False
        return (asked.scheme, asked.hostname, ports[0]) == (own.scheme, own.hostname, ports[1])


class LoadEndpoint(HttpRequest):
    """One kind of request, and what a good answer to it is. A fast wrong answer counts as over every limit."""

    name: str = Field(default="", description="its name in findings (default: method and path)")
    path: str = Field(pattern=r"^/[!-~]*$", description="path with query, as sent: /api/machines?limit=50")
    weight: float = Field(default=1.0, gt=0, description="its share of the traffic, relative to the others")
    auth: HttpLogin | None = Field(default=None, description="its own login, instead of `load.auth`")
    ca_file: ExistingPath | None = Field(default=None, description="instead of `load.target.ca_file` (PEM)")
    timeout: Duration | None = Field(default=None, description="instead of `load.timeout`")
    limits: LatencyLimits | None = Field(default=None, description="its own limits, instead of `load.limits`")

    @property
    def label(self) -> str:
        """Its name in findings."""
        return self.name or f"{self.method} {self.path}"


class RateStage(Section):
    """A part of a rate profile: a steady rate, or one that changes linearly to `to`."""

    rate: float = Field(ge=0, le=_MOST_PER_SECOND, description="requests per second (at its start)")
    to: float | None = Field(
        default=None, ge=0, le=_MOST_PER_SECOND, description="requests per second at its end, for a ramp"
    )
    lasts: Duration = Field(description="how long, e.g. 30s")


class Histogram(Section):
    """A server's own latency histogram."""

    metric: str = Field(
        default="http_request_duration_seconds",
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
        description="name of the histogram without _bucket",
    )
    unit: Literal["s", "ms"] = Field(
        default="s", description="unit of its buckets; if they seem to be milliseconds it must be named"
    )
    selector: str = Field(
        default="", pattern=r"^[^{}]*$", description='label matchers, e.g. job="api",code!~"5.."'
    )
    window: Duration = Field(default=timedelta(minutes=10), description="how far back requests are counted")
    newest_within: Duration = Field(
        default=timedelta(minutes=2), description="maximum age of the newest sample"
    )


class ServerHistograms(Prometheus, Histogram):
    """The server's own latency histograms, read from Prometheus: instead of sending load, or in addition."""

    renamed: ClassVar[Mapping[str, str]] = {"bearer": "token"}


class Visits(Section):
    """A few requests of our own at a low rate, as one more client sends them."""

    allow: str | None = Field(
        default=None, description="the inventory's name again; requests are sent only if it matches"
    )
    target: LoadTarget = Field(description="the server that gets them")
    endpoints: Annotated[list[LoadEndpoint], Field(min_length=1)] = Field(
        description="the requests, with their weights"
    )
    per_second: float = Field(default=10, gt=0, le=1000, description="requests per second")
    requests: int = Field(default=1000, ge=1, le=100_000, description="how many, at most")
    timeout: Duration = Field(default=timedelta(seconds=5), description="maximum wait for an answer")
    auth: HttpLogin | None = Field(default=None, description="how requests log in")

    def as_load(self, number: int, limits: LatencyLimits) -> "Load":
        """Return so many of them as a load."""
        return Load(
            allow=self.allow,
            target=self.target,
            endpoints=self.endpoints,
            peak_per_second=self.per_second,
            duration=timedelta(seconds=number / self.per_second),
            max_requests=max(number, 1),
            timeout=self.timeout,
            auth=self.auth,
            limits=limits,
        )


class Load(Section):
    """An open-loop load and the response times that must hold under it."""

    allow: str | None = Field(
        default=None,
        description="the inventory's name again; load is sent only if it matches",
    )
    target: LoadTarget | None = Field(default=None, description="the server that gets the load")
    endpoints: Annotated[list[LoadEndpoint], Field(min_length=1)] = Field(
        default_factory=list, description="the requests that make up the traffic, with their weights"
    )
    peak_per_second: float | None = Field(
        default=None, gt=0, description="requests per second that the system must handle: the declared peak"
    )
    rate_per_second: float | None = Field(
        default=None,
        gt=0,
        le=_MOST_PER_SECOND,
        description="requests per second to send (default: the declared peak)",
    )
    profile: Annotated[list[RateStage], Field(min_length=1)] | None = Field(
        default=None, description="consecutive rates, instead of rate_per_second and duration"
    )
    duration: Duration | None = Field(
        default=None, description="how long (default: until 5,000 requests are sent, at least 10 s)"
    )
    max_per_second: float | None = Field(
        default=None, gt=0, description="cap: more is never sent (default: the highest planned rate)"
    )
    max_requests: int = Field(default=1_000_000, ge=1, description="cap: more are never sent in a run")
    max_in_flight: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="cap: requests that may be open at once; others wait",
    )
    stop_at_error_ratio: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.25,
        gt=0,
        le=1,
        description="kill switch: stop at once when this share of the last second's requests (at least 100) failed",
    )
    connections: Literal["reused", "cold"] = Field(
        default="reused", description="`cold` opens a connection for every request, as new visitors do"
    )
    timeout: Duration = Field(default=timedelta(seconds=5), description="maximum wait for an answer")
    max_body: Size = Field(default=16 << 20, description="maximum size of a body; a larger one is an error")
    auth: HttpLogin | None = Field(default=None, description="how requests log in")
    limits: LatencyLimits = Field(default=LatencyLimits(), description="how fast requests must be")
    baseline: FilePath | None = Field(
        default=None,
        description="an earlier change's folder, or a saved run: being slower than it is a regression",
    )
    slower_by: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.25,
        gt=0,
        description="how much slower than the baseline counts as a regression: 0.25 is a quarter",
    )
    server: ServerHistograms | None = Field(default=None, description="the server's own histograms")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self

    @property
    def sends(self) -> bool:
        """Whether load should be sent: not if there are the server's histograms and load is not allowed."""
        return self.target is not None and (self.allow is not None or self.server is None)

    @property
    def stages(self) -> list[RateStage]:
        """The plan as stages."""
        if self.profile:
            return self.profile
        rate = self.rate_per_second or self.peak_per_second or 1.0
        lasts = self.duration or timedelta(seconds=max(10.0, DEFAULT_REQUESTS / rate))
        return [RateStage(rate=rate, lasts=lasts)]

    @property
    def greatest_rate(self) -> float:
        """The highest planned rate, per second."""
        return max(max(stage.rate, stage.to or 0.0) for stage in self.stages)

    @property
    def planned_requests(self) -> float:
        """How many requests the plan has."""
        return sum(
            (s.rate + (s.rate if s.to is None else s.to)) / 2 * s.lasts.total_seconds() for s in self.stages
        )

    def limits_of(self, endpoint: LoadEndpoint) -> LatencyLimits:
        """The limits of one endpoint."""
        return endpoint.limits or self.limits

    @property
    def known_limits_s(self) -> tuple[float, ...]:
        """All limits, in seconds, ascending: requests over each are counted exactly."""
        all_limits = [self.limits, *(e.limits for e in self.endpoints if e.limits)]
        return tuple(sorted({t.total_seconds() for each in all_limits for t in (each.p50, each.p99)}))


#: Enough requests to decide p99 with some margin: about 83 may be over the limit in 10,000, about 37 in 5,000.
DEFAULT_REQUESTS = 5_000


def _contradictions(load: Load) -> list[str]:
    """Return the contradictions in the section, in words."""
    found = []
    if load.target is None and load.server is None:
        found.append(
            "name a `target` with `endpoints` to send load to, or `server: {url: …}` with its histograms"
        )
    if load.target is not None and not load.endpoints:
        found.append("`target` needs `endpoints`: the requests that make up the traffic")
    if load.target is not None and load.peak_per_second is None:
        found.append("`peak_per_second` is missing: the requests per second that the system must handle")
    if load.profile and (load.rate_per_second or load.duration):
        found.append("`profile` replaces `rate_per_second` and `duration`: keep one of them")
    labels = sorted(endpoint.label for endpoint in load.endpoints)
    found += [f"two endpoints are called {a!r}: give one a `name`" for a, b in pairwise(labels) if a == b]
    if load.target is not None and not found:
        found += _over_the_cap(load)
    return found


def _over_the_cap(load: Load) -> list[str]:
    cap, planned = load.max_per_second, load.planned_requests
    found = []
    if cap is not None and load.greatest_rate > cap:
        found.append(f"{load.greatest_rate:g}/s are planned, but `max_per_second` allows {cap:g}/s")
    if planned > load.max_requests:
        found.append(f"{planned:.0f} requests are planned, but `max_requests` allows {load.max_requests}")
    if planned < 1:
        found.append("not even one request is planned: raise the rate or the duration")
    return found


def allowed(load: Load, name: str) -> str:
    """Return why no load may be sent to the inventory with this name; empty if it may."""
    if load.allow == name:
        return ""
    if load.allow is None:
        return (
            f"no load was sent: the inventory {name} does not allow it; add `allow: {name}` under `load` "
            "if load is agreed, or judge the server's own histograms with `load: {server: {url: …}}`"
        )
    return (
        f"no load was sent: `load.allow` names {load.allow!r}, but this inventory is {name!r}; if the section was copied, "
        f"set `allow: {name}` once load on it is agreed"
    )


class Keys(InventoryKeys):
    """The key `load`."""

    load: Annotated[
        Load | None,
        Given("load", "load: {allow: NAME, peak_per_second: 300, target: {host: …}, endpoints: [{path: /}]}"),
    ] = Field(default=None, description="load to send, and how fast requests must be under it")
