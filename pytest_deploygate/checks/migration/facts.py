"""What is measured of migrated data, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.lazy import dataclass

#: A value of a row: a number with a fraction as float, all else as text; NULL is None.
Value = str | float | None


@dataclass(frozen=True)
class Answer:
    """The rows of one query on one side, with the names of their columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True)
class Answers:
    """A query's answers on both sides. `problem` says why there are none."""

    source: Answer | None = None
    target: Answer | None = None
    problem: str = ""


@dataclass(frozen=True)
class Miscalculated:
    """One stored value that differs from the one computed anew."""

    key: str
    stored: str | None
    computed: str | None


@dataclass(frozen=True)
class Recalculated:
    """How many values were computed anew, how many differ by more than the tolerance, and some of them.

    `greatest` is the greatest relative difference of those that differ; None if none does.
    """

    values: int
    different: int
    greatest: float | None
    examples: tuple[Miscalculated, ...]


@dataclass(frozen=True)
class Period:
    """The rows of one period on both sides."""

    start: datetime
    source: int
    target: int


@dataclass(frozen=True)
class Gap:
    """A time without rows on the target, after a row of `key` (empty: of the table). `at_source`: the source has it too."""

    key: str
    start: datetime
    seconds: float
    at_source: bool


@dataclass(frozen=True)
class Past:
    """A table's rows by period, those without a time, and the longest gaps of the target, the longest first."""

    periods: tuple[Period, ...]
    without_time: tuple[int, int]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class Slot:
    """A replication slot of the source; sizes in bytes. `lost`: what it needs is gone already."""

    name: str
    active: bool
    lost: bool
    lag_bytes: int


@dataclass(frozen=True)
class Started:
    """Whether the source is at rest, and the target ready. Sizes in bytes, `seconds` is how long was looked.

    `written` are rows that were written meanwhile, by table; `writers` describe transactions that have written and are
    open. `last_commit` is None where the server does not keep it. `not_there` are tables without one on the target.
    `slot` is the one that the inventory names, None if there is none of that name.
    """

    seconds: float
    read_only: bool
    written: tuple[tuple[str, int], ...]
    writers: tuple[str, ...]
    last_commit: datetime | None
    slot: Slot | None
    tables: int
    not_there: tuple[tuple[str, str], ...]
    source_bytes: int
    target_bytes: int
    target_rows: int


@dataclass(frozen=True)
class Filling:
    """A table that is being filled, by rows. `source` and `target` are estimated by the servers' statistics."""

    table: str
    source: int
    target: int


@dataclass(frozen=True)
class Copy:
    """A COPY into a table that runs: what it has read by each look, in rows and bytes. `of_bytes` is 0 if not known."""

    table: str
    pid: int
    rows: tuple[int, ...]
    size_bytes: tuple[int, ...]
    of_bytes: int


@dataclass(frozen=True)
class Build:
    """An index that is being built. `phase` is the server's word; `share` of that phase by look, None if it is not known."""

    index: str
    pid: int
    phase: str
    share: tuple[float | None, ...]


@dataclass(frozen=True)
class RestoreJob:
    """A session of pg_restore that was there at each look: what it does at the last one.

    `blocked_by` describes the session whose lock it waited for at every look; empty if it did not.
    """

    pid: int
    statement: str
    seconds: float
    blocked_by: str


@dataclass(frozen=True)
class Applied:
    """A subscription of the target. `lag_bytes` is what its slot on the source has yet to have confirmed, by look.

    It is empty if the source has no such slot. `worker`: a process of the target receives changes.
    """

    subscription: str
    slot: str
    enabled: bool
    worker: bool
    lag_bytes: tuple[int, ...]


@dataclass(frozen=True)
class Progress:
    """How far a migration is. `at_s` are the times of the looks since the first one.

    `copies` are those that were there at each look. `not_ready` are tables of subscriptions that are not in sync, with
    their state: what the server itself knows, without estimates.
    """

    now: datetime
    at_s: tuple[float, ...]
    tables: tuple[Filling, ...]
    rows_in: tuple[int, ...]
    copies: tuple[Copy, ...]
    not_ready: tuple[tuple[str, str], ...]
    builds: tuple[Build, ...] = ()
    jobs: tuple[RestoreJob, ...] = ()
    applied: tuple[Applied, ...] = ()
