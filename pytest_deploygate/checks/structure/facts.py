"""What is measured of the structure, as frozen values: no I/O, no limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pytest_deploygate.checks.structure.snapshot import Aspects
from pytest_deploygate.lazy import dataclass

#: How the line of a lasting partition begins.
PARTITION = "partition "


@dataclass(frozen=True)
class Amcheck:
    """What bt_index_check reported: `corrupt` maps indexes to the server's messages.

    `left_out` maps indexes that were skipped on purpose to the reason (size), `unchecked` those that could not be
    checked (time, a lock, a permission).
    """

    checked: int
    corrupt: Mapping[str, str]
    left_out: Mapping[str, str]
    unchecked: Mapping[str, str]
    duration_s: float


@dataclass(frozen=True)
class Relation:
    """One relation as it is: `aspects` is None if it does not exist; `partitions` are those that deviate."""

    name: str
    aspects: Aspects | None
    partitions: Aspects
    server_major: int


@dataclass(frozen=True)
class Surplus:
    """What the schemas contain. `others` are functions, types, schemas, and objects of the whole database."""

    schemas: tuple[str, ...]
    relations: Mapping[str, Aspects]
    others: Mapping[str, Aspects]
    extensions: Mapping[str, str]
    server_major: int


def differences(expected: Aspects, found: Aspects) -> list[tuple[str, str]]:
    """Return aspect and description of each difference, in the order of the expected side.

    A partition more than expected is none, nor are contents of a materialized view that was empty at the snapshot.
    """
    said = []
    for name, text in expected.items():
        if name not in found:
            if name != "contents":
                said.append((name, f"{text} expected, but missing"))
        elif found[name] != text:
            said.append((name, _difference(name, text, found[name])))
    said += [
        (name, f"not expected, found {text}")
        for name, text in found.items()
        if name not in expected and not name.startswith(PARTITION)
    ]
    return said


def _difference(name: str, expected: str, found: str) -> str:
    if name.startswith("column "):
        if expected.replace(" NOT NULL", "", 1) == found:
            return "NOT NULL expected, column is nullable"
        if found.replace(" NOT NULL", "", 1) == expected:
            return "nullable expected, column is NOT NULL"
    if name.startswith("grant to "):
        wanted, given = expected.split(", "), found.split(", ")
        extra = ", ".join(p for p in given if p not in wanted)
        missing = ", ".join(p for p in wanted if p not in given)
        parts = [f"{extra} not expected"] if extra else []
        parts += [f"{missing} expected, but missing"] if missing else []
        return f"{'; '.join(parts)} (found {found})"
    return f"{expected} expected, found {found}"


@dataclass(frozen=True)
class IndexState:
    """An index as it is. Two redundant indexes of a table have the same `shape`.

    `constraint` names the constraint that the index enforces; `building` is true while CREATE INDEX or REINDEX is
    working on it; `collation_mismatch` names collations whose library has changed since.
    """

    name: str
    table: str
    definition: str
    valid: bool
    ready: bool
    live: bool
    shape: str
    partition_of: str | None
    collation_mismatch: str | None
    on_partition: bool = False
    constraint: str | None = None
    building: bool = False


@dataclass(frozen=True)
class Indexes:
    """All indexes of the database outside the system schemas, and invalid ones of the system.

    `stale_collation` states how the database's own collation differs from the library's; None if it does not.
    """

    found: tuple[IndexState, ...]
    stale_collation: str | None = None


@dataclass(frozen=True)
class Partition:
    """A range partition from `start` to before `end`; None is MINVALUE or MAXVALUE."""

    name: str
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Partitions:
    """A table's partitioning as it is. `kind` is None for a missing table, else table, range, list or hash.

    `unread` lists bounds that are not a single point in time. `default_rows` is None without a default partition and
    capped at MOST_DEFAULT_ROWS. `near` ends the sentence that the table is missing: what is there in its place. A query over one interval reads `scanned` of `total` partitions.
    """

    table: str
    kind: str | None
    key: str
    now: datetime
    ranges: tuple[Partition, ...] = ()
    unread: tuple[str, ...] = ()
    default: str | None = None
    default_rows: int | None = None
    scanned: int | None = None
    total: int = 0
    near: str = ""


def is_key(key: str, column: str) -> bool:
    """Tell whether a partition key, as the server prints it, is a range of just this column."""
    return key in (f"RANGE ({column})", 'RANGE ("' + column.replace('"', '""') + '")')


@dataclass(frozen=True)
class Plan:
    """How the planner would run a query. `used` are indexes (those of partitions count as their parent's), `scanned`
    maps sequentially scanned relations to their current size in pages.

    `possible` are the indexes it would use if it had to avoid scans, `unavoidable` the relations that it would scan
    even then, because no index serves the query. `absent` is true if the required index does not exist; `near` then says what
    does, in another case.
    """

    name: str
    used: tuple[str, ...]
    scanned: Mapping[str, int]
    possible: tuple[str, ...] = ()
    unavoidable: tuple[str, ...] = ()
    absent: bool = False
    near: str = ""
