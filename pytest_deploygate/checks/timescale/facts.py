"""Measurements of TimescaleDB, as frozen values: no I/O, no limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from pytest_deploygate.checks.aggregates.facts import Comparison
from pytest_deploygate.checks.jobs.facts import ScheduleFacts
from pytest_deploygate.lazy import dataclass

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class AggregateFacts:
    """A continuous aggregate as it stands. `exists` is false if there is none of that name.

    `watermark` is the end of what is materialised, None if nothing is. `pending` are ranges that the next run of
    its policy will refresh, `out_of_reach` changed ranges that the policy's window no longer reaches.
    `drops_raw_after` is the raw hypertable's retention. `problem` says why there is no comparison.
    """

    view: str
    now: datetime
    exists: bool = False
    real_time: bool = False
    raw: str = ""
    job: Job | None = None
    outside_scheduler: bool = False
    watermark: datetime | None = None
    newest_raw: datetime | None = None
    pending: tuple[Span, ...] = ()
    out_of_reach: tuple[Span, ...] = ()
    drops_raw_after: timedelta | None = None
    comparisons: tuple[Comparison, ...] = ()
    problem: str = ""


RETENTION = "policy_retention"


COLUMNSTORE = "policy_compression"


REFRESH = "policy_refresh_continuous_aggregate"


@dataclass(frozen=True)
class Chunk:
    """A chunk of a hypertable over time. `start` and `end` are None if its dimension is of integers."""

    name: str
    start: datetime | None
    end: datetime | None
    compressed: bool


@dataclass(frozen=True)
class Dimension:
    """A dimension: by time (`interval`; None if it is of integers) or by hash (`partitions`)."""

    column: str
    kind: str
    interval: timedelta | None
    partitions: int | None


@dataclass(frozen=True)
class Settings:
    """How a hypertable is compressed: columns as written in SQL, `recorded_at DESC`."""

    segmentby: tuple[str, ...]
    orderby: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """A job and its last run. `table` is the hypertable or continuous aggregate (schema.name) it works on, or empty.

    Times are None if there was no such run. `state` is Running, Paused or Scheduled; `status` Success, Failed or
    None; `error` the latest message, if the gate's role may read it.
    """

    id: int
    proc: str
    table: str
    interval: timedelta
    scheduled: bool
    config: Mapping[str, Any]
    last_started: datetime | None = None
    last_success: datetime | None = None
    next_start: datetime | None = None
    status: str | None = None
    state: str = ""
    failures: int = 0
    error: str = ""
    #: drop_after, compress_after, start_offset and end_offset, as spans of time.
    spans: Mapping[str, timedelta | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name used in reasons."""
        return f"job {self.id} ({self.proc})"


@dataclass(frozen=True)
class Hypertable:
    """A table as TimescaleDB knows it. `exists`: there is such a relation; `hypertable`: it is one."""

    table: str
    now: datetime
    exists: bool
    hypertable: bool
    dimensions: tuple[Dimension, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    settings: Settings | None = None
    jobs: tuple[Job, ...] = ()
    outside_scheduler: bool = False
    #: How many chunks a query over one chunk's time reads; None if EXPLAIN failed: `problem` says why.
    scanned: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class Extension:
    """The extension in one server. `versions` maps each database to its version, None if it is not installed.

    `library` is the newest version that the server could load. `workers` are the kinds of background workers that
    run; None if the gate's role may not see them. `unseen` says why a database could not be read.
    """

    now: datetime
    server_version: str
    versions: Mapping[str, str | None]
    unseen: Mapping[str, str]
    library: str | None
    license: str | None
    workers: tuple[str, ...] | None
    max_workers: int | None
    max_processes: int | None
    jobs: tuple[Job, ...]
    schedule: ScheduleFacts | None = None
