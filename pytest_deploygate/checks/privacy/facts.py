"""Measurements of retention, audit trails and erasure, as frozen values: no I/O, no limits."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timedelta

from pytest_deploygate.checks.jobs.facts import JobFacts
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Record:
    """One audit record: who, what, when, from where; None if it is not recorded."""

    who: str | None
    what: str | None
    at: datetime | None
    source: str | None


@dataclass(frozen=True)
class RecordFacts:
    """The audited operation: its records, how long we waited for them, and when it began by the server's clock."""

    role: str
    began: datetime
    waited_s: float
    records: tuple[Record, ...]
    undo_problem: str = ""
    lag: OwnLag = field(default_factory=OwnLag)


@dataclass(frozen=True)
class RightsFacts:
    """How the application's roles could change records. `ways` are (role, how) pairs, in words.

    `exists` is false if there is no such table. `missing_roles` are roles that the server does not have. `composed` are
    functions that run as somebody who may delete records and whose statements are composed when they run. `near` says what
    differs from a missing table only in case.
    """

    table: str
    exists: bool
    owner: str
    roles: tuple[str, ...]
    missing_roles: tuple[str, ...]
    ways: tuple[tuple[str, str], ...]
    composed: tuple[str, ...] = ()
    near: str = ""


@dataclass(frozen=True)
class ErasureFacts:
    """One erasure from beginning to end. `after` is None if the erasure itself failed (`problem`).

    `left_behind` counts persons of earlier, crashed runs that were erased now; `email` is the synthetic person's. `kept_in`
    is the table that holds the token until the erasure is done, and stays.
    """

    email: str
    at: datetime
    before: Sweep
    after: Sweep | None
    took_s: float
    problem: str = ""
    left_behind: int = 0
    lag: OwnLag = field(default_factory=OwnLag)
    kept_in: str = ""


@dataclass(frozen=True)
class Hit:
    """A place that holds the person: `schema.table.column` as SQL writes it, `log NAME` or `redis NAME`, and in how many rows or keys.

    `first` is the first key or file.
    """

    place: str
    rows: int
    first: str = ""


@dataclass(frozen=True)
class Sweep:
    """What one sweep saw. `tables` were read, `textless` cannot hold text, `skipped` by the inventory.

    `unread` are places that could not be searched, with the reason: the sweep is then incomplete. `databases` are the
    server's other databases, which were not searched, and neither were `large_objects`.
    """

    node: str
    hits: tuple[Hit, ...]
    tables: int
    textless: int
    skipped: tuple[str, ...]
    unread: tuple[str, ...]
    databases: tuple[str, ...] = ()
    large_objects: int = 0


MOST_ROWS = 100_000


@dataclass(frozen=True)
class PartmanPolicy:
    """A table's row in pg_partman's part_config. `found` is false if it has none.

    `said` is the retention as stored there; for partitions by number it is not an interval. Source: pg_partman's
    reference, "part_config" (the columns read here are the same in 4 and 5).
    """

    found: bool
    retention: timedelta | None = None
    automatic: bool = False
    keeps_tables: bool = False
    said: str = ""


@dataclass(frozen=True)
class RetentionFacts:
    """One table. `old_rows` (capped at MOST_ROWS) are older than keep and slack, `oldest` is the oldest of those.

    `policy` is the interval that the job follows, None if it was not queried or the query returned no row
    (`policy_asked`). `job` is None if pg_partman's maintenance does the work. `never` rows have no time, an infinite one, or
    one in the future: no age removes them.
    """

    table: str
    exists: bool
    now: datetime
    has_rows: bool
    old_rows: int
    oldest: datetime | None
    policy_asked: bool
    policy: timedelta | None
    job: JobFacts | None
    partman: PartmanPolicy | None
    problem: str = ""
    never: int = 0


@dataclass(frozen=True)
class FileAges:
    """Files below a folder: how many, how many are older than allowed, and the oldest. `problem`: why it cannot be read."""

    name: str
    where: str
    now: datetime
    files: int
    old: int
    oldest: str
    oldest_at: datetime | None
    problem: str = ""
