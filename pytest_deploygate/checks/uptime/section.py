"""The inventory's `uptime` section: what is watched from outside, from when on, and how much may be lost."""

from __future__ import annotations

import glob
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.references import with_lab
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    FilePath,
    Given,
    InventoryKeys,
    SecretReference,
    Section,
)

_SELECTOR = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*\s*(\{[^{}]*\})?")


class Prometheus(Section):
    """Where samples of the blackbox exporter are kept, for targets that are not watched by `deploygate watch`."""

    url: str = Field(description="base address, e.g. https://prometheus.example.com")
    token: SecretReference | None = Field(default=None, description="bearer token")
    timeout: Duration = Field(default=timedelta(seconds=20), description="how long one question may take")

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return _address(url).rstrip("/")


class WatchTarget(Section):
    """One thing whose uptime counts: an address, a port, a database, or a series of Prometheus."""

    exactly_one: ClassVar[tuple[str, ...]] = ("url", "tcp", "postgres", "prometheus")
    instead: ClassVar[str] = (
        "say one of `url: https://…`, `tcp: host:port`, `postgres: postgresql://user@host/database`, "
        "`prometheus: probe_success{…}`"
    )

    name: str = Field(min_length=1, max_length=60, description="what findings call it")
    url: str | None = Field(
        default=None, description="address that is fetched; `lab:NAME` in it is a value of the lab"
    )
    status: int = Field(default=200, ge=100, le=599, description="the HTTP status that counts as up")
    body: str | None = Field(default=None, description="text that the body must contain to count as up")
    token: SecretReference | None = Field(default=None, description="bearer token that is sent along")
    ca: ExistingPath | None = Field(default=None, description="certificates to trust instead of the system's")
    tcp: str | None = Field(default=None, description="host:port that must take a connection")
    postgres: str | None = Field(
        default=None, description="connection URI without a password, e.g. postgresql://user@host/db"
    )
    password: SecretReference | None = Field(default=None, description="password for `postgres`")
    prometheus: str | None = Field(
        default=None, description="selector of the series, one for each vantage point: probe_success{…}"
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        return None if url is None else _address(with_lab(url))

    @field_validator("tcp")
    @classmethod
    def _is_a_place(cls, place: str | None) -> str | None:
        return None if place is None else _place(with_lab(place))

    @field_validator("postgres")
    @classmethod
    def _is_a_uri(cls, uri: str | None) -> str | None:
        if uri is None:
            return None
        if not re.match(r"postgres(ql)?://", uri):
            raise ValueError("write it as postgresql://user@host:port/database")
        if re.match(r"postgres(ql)?://[^@/]*:[^@/]*@", uri):
            raise ValueError("a password is not written in the address; write `password: env:NAME` beside it")
        return with_lab(uri)

    @field_validator("prometheus")
    @classmethod
    def _is_a_selector(cls, selector: str | None) -> str | None:
        if selector is not None and not _SELECTOR.fullmatch(selector.strip()):
            raise ValueError(
                'write a plain selector, e.g. probe_success{instance="…"}: a function such as avg_over_time would'
                " hide the gaps"
            )
        return selector

    @property
    def what(self) -> str:
        """What is asked and what counts as up, in words that hold no secret."""
        if self.url:
            return f"{self.url} {self.status}" + (f" {self.body!r}" if self.body else "")
        return self.tcp or self.postgres or self.prometheus or ""


class Uptime(Section):
    """The promise of uptime, and what is known of it: records of `deploygate watch`, or Prometheus."""

    t0: datetime | None = Field(
        default=None,
        description="when the window begins: after the announced interruption, e.g. 2026-12-01T02:30:00-05:00",
    )
    window: Duration = Field(
        json_schema_extra={"weaker": "smaller"}, default=timedelta(hours=24), description="how long it counts"
    )
    availability: float = Field(
        json_schema_extra={"weaker": "smaller"},
        default=99.9,
        gt=0,
        lt=100,
        description="percent of the window; 99.9 of 24 h leaves 86.4 s",
    )
    every: Duration = Field(default=timedelta(seconds=5), description="how often each target is asked")
    timeout: Duration | None = Field(
        default=None, description="how long an answer may take (default: `every`, at most 5 s)"
    )
    control: str | None = Field(
        default=None,
        description="host:port of something else that is always there, e.g. the gateway or the resolver: while it"
        " cannot be reached either, a failure is the watch's own and counts as unknown",
    )
    vantage_points: int | None = Field(
        json_schema_extra={"weaker": "smaller"},
        default=None,
        ge=1,
        description="from how many places it is watched (default: as many as there are records); down is what most"
        " of them see",
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
    ] = Field(min_length=1, description="what must be up")

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
        return found and found.astimezone(UTC)

    @field_validator("control")
    @classmethod
    def _is_a_place(cls, place: str | None) -> str | None:
        return None if place is None else _place(with_lab(place))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.every <= timedelta(0) or self.window <= timedelta(0):
            raise ValueError("`every` and `window` must be longer than nothing")
        if self.timeout is not None and not timedelta(0) < self.timeout <= self.every:
            raise ValueError("`timeout` must not be longer than `every`: questions would overlap")
        names = [target.name for target in self.targets]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two targets are called {', '.join(sorted(twice))}")
        if self.prometheus is None and any(target.prometheus for target in self.targets):
            raise ValueError(
                "a target has a `prometheus` selector; say where: `prometheus: {url: https://…}`"
            )
        return self

    @property
    def timeout_s(self) -> float:
        """How long one question may take, in seconds."""
        return (self.timeout or min(self.every, timedelta(seconds=5))).total_seconds()

    @property
    def budget_s(self) -> float:
        """How many seconds of the window may be lost."""
        return round(self.window.total_seconds() * (100 - self.availability) / 100, 6)

    @property
    def files(self) -> list[str]:
        """The records that are there now, each once."""
        found = [path for pattern in self.records for path in sorted(glob.glob(str(pattern)))]  # noqa: PTH207 (absolute)
        return list(dict.fromkeys(found))


def _address(url: str) -> str:
    if not re.match(r"https?://[^/\s]+", url):
        raise ValueError(f"{url!r} is not an address; write for example https://app.example.com/healthz")
    if re.match(r"https?://[^/@]*@", url):
        raise ValueError(
            "a user or password is not written in the address; write `token: env:NAME` beside it"
        )
    return url


def _place(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not a place; write host:port")
    return text


def too_long(every_s: float, budget_s: float) -> bool:
    """Tell whether one failed question alone could already be the whole budget: it stands for up to two intervals."""
    return 2 * every_s >= budget_s or math.isnan(every_s)


class Keys(InventoryKeys):
    """The key `uptime`."""

    uptime: Annotated[
        Uptime | None, Given("uptime", "uptime: {targets: [{name: front, url: https://…/healthz}]}")
    ] = Field(default=None, description="the promise of uptime and its records")
