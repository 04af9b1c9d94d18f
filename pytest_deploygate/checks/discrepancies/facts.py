"""Classes of differences and what the issue log says of them, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.checklist.vocabulary import Issue
from pytest_deploygate.lazy import dataclass

ITEM = "phase4.discrepancies"


@dataclass(frozen=True)
class DifferenceClass:
    """Differences that are alike: of one table, one column (empty: of whole rows) and one kind, see `probe.kinds`.

    `rows` are the rows in the file of differences; `key`, `source` and `target` are those of its first line.
    """

    table: str
    column: str
    kind: str
    rows: int
    key: str
    source: str | None
    target: str | None

    @property
    def name(self) -> str:
        """What an entry of the issue log writes as its `target`."""
        return " ".join(part for part in (self.table, self.column, self.kind) if part)


@dataclass(frozen=True)
class OneClass:
    """One class of differences, and the file that has all of its rows."""

    of: DifferenceClass
    file: str


@dataclass(frozen=True)
class Discrepancies:
    """What a finished comparison wrote.

    `file` is the file of differences, `compared_at` when the comparison ended, `now` when that was read. `differences`
    are rows that differ, `tables` and `rows` those that were compared. `unfinished` are sentences about what was not
    compared; `cut` is the number of lines at which the file ends, 0 if it is whole.
    """

    file: str
    compared_at: datetime
    now: datetime
    tables: int
    rows: int
    differences: int
    classes: tuple[DifferenceClass, ...]
    unfinished: tuple[str, ...] = ()
    cut: int = 0


@dataclass(frozen=True)
class Documented:
    """The issue log of the change, and after when rows must have been compared (None: any time).

    `aside` says why there is a file that does not count. `command` adds entries to it.
    """

    file: str
    command: str
    entries: tuple[Issue, ...] = ()
    aside: str = ""
    not_before: datetime | None = None
