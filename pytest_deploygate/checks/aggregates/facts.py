"""What is measured of aggregates, as frozen values: no I/O, no limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pytest_deploygate.checks.jobs.facts import ScheduleFacts
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Difference:
    """A bucket that differs: `state` is missing (not stored), extra (no raw rows), or different."""

    state: str
    bucket: datetime
    key: str
    stored: Mapping[str, object]
    recomputed: Mapping[str, object]


@dataclass(frozen=True)
class Comparison:
    """Stored buckets against recomputed ones, in rows. `buckets` of `buckets_total` complete buckets were compared."""

    start: datetime
    end: datetime
    buckets_total: int
    buckets: int
    rows: int
    missing: int
    extra: int
    different: int
    examples: tuple[Difference, ...]
    seed: str = ""


@dataclass(frozen=True)
class AggregateFacts:
    """An aggregate as it is. `absent` names what does not exist; then nothing else was read.

    `newest_raw` and `newest_bucket` are not later than `now` (unless all rows are): rows from a clock that runs ahead
    must not make a stale aggregate look fresh. `still_open` counts rows of
    buckets that may still change. `near` says what differs from `absent` only in case. `problem` states why there is no comparison although there are rows.
    """

    relation: str
    now: datetime
    absent: str | None = None
    schedule: ScheduleFacts | None = None
    refreshed_at: datetime | None = None
    newest_raw: datetime | None = None
    newest_bucket: datetime | None = None
    comparison: Comparison | None = None
    problem: str = ""
    without_source: int = 0
    older: int = 0
    newest_older: datetime | None = None
    still_open: int = 0
    near: str = ""
