"""The inventory's `uptime` section: what is watched from outside, since when, and how much downtime is allowed."""

import glob
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.http import HttpRequest, Url
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.fields.renamed import Renamed
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    FilePath,
    Given,
    InventoryKeys,
    SecretReference,
    Section,
    Text,
)

_SELECTOR = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*\s*(\{[^{}]*\})?")


class WatchTarget(HttpRequest):
    """One thing whose uptime counts: an HTTP request, a port, a database, or a series of Prometheus."""

    exactly_one: ClassVar[tuple[str, ...]] = ("url", "tcp", "postgres", "prometheus")
    instead: ClassVar[str] = (
        "set one of `url: https://…`, `tcp: host:port`, `postgres: postgresql://user@host/database`, "
        "`prometheus: probe_success{…}`"
    )

    #: `body` used to be the expected text. Inventories of that time have no `method`, which a body to send needs.
    renamed: ClassVar[Mapping[str, str | Renamed]] = {
        "ca": "ca_file",
        "body": Renamed("contains", unless="method"),
    }

    name: str = Field(min_length=1, max_length=60, description="its name in findings")
    url: Url | None = Field(default=None, description="URL to request, e.g. https://app.example.com/healthz")
    body: str | None = Field(
        default=None, description="body to send with `method`; text to expect belongs in `contains`"
    )
    timeout: Duration | None = Field(default=None, description="instead of `uptime.timeout`")
    tcp: Text | None = Field(default=None, description="host:port that must accept a connection")
    postgres: Text | None = Field(
        default=None, description="connection URI without a password, e.g. postgresql://user@host/db"
    )
    password: SecretReference | None = Field(default=None, description="password for `postgres`")
    prometheus: str | None = Field(
        default=None, description="selector of the series, one for each vantage point: probe_success{…}"
    )

    @field_validator("tcp")
    @classmethod
    def _is_a_place(cls, place: str | None) -> str | None:
        return None if place is None else _place(place)

    @field_validator("postgres")
    @classmethod
    def _is_a_uri(cls, uri: str | None) -> str | None:
        if uri is None:
            return None
        if not re.match(r"postgres(ql)?://", uri):
            raise ValueError("write it as postgresql://user@host:port/database")
        if re.match(r"postgres(ql)?://[^@/]*:[^@/]*@", uri):
            raise ValueError("a password must not be in the URI; add `password: env:NAME`")
        return uri

    @field_validator("prometheus")
    @classmethod
    def _is_a_selector(cls, selector: str | None) -> str | None:
        if selector is not None and not _SELECTOR.fullmatch(selector.strip()):
            raise ValueError(
                'write a plain selector, e.g. probe_success{instance="…"}: a function such as avg_over_time would'
                " hide gaps"
            )
        return selector

    @model_validator(mode="after")
    def _request_is_whole(self) -> Self:
        if self.url is None and (keys := self.misplaced()):
            raise ValueError(f"{keys} need `url`")
        if self.sent is not None and "method" not in self.model_fields_set:
            raise ValueError("a body to send needs `method`, e.g. POST; text to expect belongs in `contains`")
        return self

    @property
    def what(self) -> str:
        """The request and what counts as up, without secrets."""
        if not self.url:
            return self.tcp or self.postgres or self.prometheus or ""
        asked = [] if self.method == "GET" else [self.method]
        told = [repr(text) for text in self.contains] + [f"not {text!r}" for text in self.lacks]
        told += [f"/{self.matches}/"] if self.matches else []
        sent = [f"sending {self.sent!r}"] if self.sent is not None else []
        sent += [f"{name}: {value}" for name, value in sorted(self.headers.items())]
        return " ".join([*asked, self.url, ",".join(map(str, self.status)), *told, *sent])


class Uptime(Section):
    """The required uptime, and where it is measured: records of `deploygate watch`, or Prometheus."""

    t0: datetime | None = Field(
        default=None,
        description="when the window begins: after the announced interruption, e.g. 2026-12-01T02:30:00-05:00",
    )
    window: Duration = Field(
        json_schema_extra={"weaker": "smaller"}, default=timedelta(hours=24), description="how long it lasts"
    )
    availability: float = Field(
        json_schema_extra={"weaker": "smaller"},
        default=99.9,
        gt=0,
        lt=100,
        description="percent of the window; 99.9 of 24 h leaves 86.4 s",
    )
    every: Duration = Field(default=timedelta(seconds=5), description="how often each target is requested")
    timeout: Duration | None = Field(
        default=None, description="time limit of an answer (default: `every`, but at most 5 s)"
    )
    control: Text | None = Field(
        default=None,
        description="host:port of something else that is always up, e.g. the gateway or the resolver: while it"
        " is unreachable too, the watch itself is cut off, and a failure counts as unknown",
    )
    vantage_points: int | None = Field(
        json_schema_extra={"weaker": "smaller"},
        default=None,
        ge=1,
        description="number of vantage points (default: the number of records); a target is down"
        " when most of them see it down",
    )
    records: list[FilePath] = Field(
        default=["watch/*.watch"],
        validate_default=True,
        min_length=1,
        description="files of `deploygate watch`, those of other hosts copied in; patterns are allowed",
    )
    prometheus: Prometheus | None = Field(
        default=None, description="for targets with a `prometheus` selector"
    )
    targets: Annotated[
        list[WatchTarget], Each("watched", "uptime: {targets: [{name: front, url: https://…/healthz}]}")
    ] = Field(min_length=1, description="targets that must be up")

    @field_validator("t0", mode="before")
    @classmethod
    def _a_moment(cls, value: object) -> object:
        try:
            found = (
                value if isinstance(value, datetime) or value is None else datetime.fromisoformat(str(value))
            )
        except ValueError:
            raise ValueError(f"{value} is not a time; write for example 2026-12-01T02:30:00-05:00") from None
        if found is not None and found.tzinfo is None:
            raise ValueError(f"{value} has no time zone; write for example 2026-12-01T02:30:00-05:00")
        try:
            return found and found.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{value} does not exist in the calendar") from None

    @field_validator("control")
    @classmethod
    def _is_a_place(cls, place: str | None) -> str | None:
        return None if place is None else _place(place)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.every <= timedelta(0) or self.window <= timedelta(0):
            raise ValueError("`every` and `window` must be longer than 0")
        if self.timeout is not None and not timedelta(0) < self.timeout <= self.every:
            raise ValueError("`timeout` must not be longer than `every`: requests would overlap")
        names = [target.name for target in self.targets]
        if slow := [t.name for t in self.targets if t.timeout and not timedelta(0) < t.timeout <= self.every]:
            raise ValueError(f"`timeout` of {', '.join(slow)} must not be longer than `every`")
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two targets are called {', '.join(sorted(twice))}")
        if self.prometheus is None and any(target.prometheus for target in self.targets):
            raise ValueError("a target has a `prometheus` selector; add `prometheus: {url: https://…}`")
        return self

    @property
    def timeout_s(self) -> float:
        """The time limit of one request, in seconds."""
        return (self.timeout or min(self.every, timedelta(seconds=5))).total_seconds()

    @property
    def budget_s(self) -> float:
        """How many seconds of downtime the window allows."""
        return round(self.window.total_seconds() * (100 - self.availability) / 100, 6)

    @staticmethod
    def too_long(every_s: float, budget_s: float) -> bool:
        """Return whether a single failed sample could use up the budget: it represents up to two intervals."""
        return 2 * every_s >= budget_s or math.isnan(every_s)

    @property
    def files(self) -> list[str]:
        """The records that exist now, each once."""
        found = [path for pattern in self.records for path in sorted(glob.glob(str(pattern)))]  # noqa: PTH207 (absolute)
        return list(dict.fromkeys(found))


def _place(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not a host and port; write host:port")
    return text


class Keys(InventoryKeys):
    """The key `uptime`."""

    uptime: Annotated[
        Uptime | None, Given("uptime", "uptime: {targets: [{name: front, url: https://…/healthz}]}")
    ] = Field(default=None, description="the required uptime, and the targets to watch")
