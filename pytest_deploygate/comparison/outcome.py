"""What a comparison found, as frozen values: no I/O."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Where:
    """A part of a table with differences: its first key as text, and how many rows differ in it.

    `share` is its place in the table from 0 to 1, by rows.
    """

    first_key: str
    share: float
    differences: int


@dataclass(frozen=True)
class Example:
    """One difference, as in the file of differences. Values of sensitive columns are digests."""

    key: str
    kind: str
    column: str
    source: str | None
    target: str | None


@dataclass(frozen=True)
class TableOutcome:
    """One table. Rows are those of each side; `missing` are in the source only, `extra` in the target only, `changed` in
    both with other values. `columns` counts changed values by column, as far as they were written.

    `problem` says why the table was not compared to its end: then the other numbers are as far as it came.
    `transient` differences were gone when they were looked at again, `unsettled` ones had other values each time.
    """

    source: str
    target: str
    how: str
    key: str
    parts: int
    parts_done: int
    source_rows: int
    target_rows: int
    missing: int
    extra: int
    changed: int
    columns: tuple[tuple[str, int], ...]
    where: tuple[Where, ...]
    examples: tuple[Example, ...]
    transient: int = 0
    unsettled: int = 0
    seconds: float = 0.0
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def differences(self) -> int:
        """How many rows differ."""
        return self.missing + self.extra + self.changed


@dataclass(frozen=True)
class Outcome:
    """A whole comparison.

    `unknown` are sentences about tables that could not be compared at all. `file` is the file of differences, empty if
    there are none; `written` its lines, `cut` whether it lacks lines because of the limit. `checksum` is the function used.
    """

    tables: tuple[TableOutcome, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]
    file: str
    written: int
    cut: bool
    checksum: str
    seconds: float
    resumed: bool = False
    shard: str = "1/1"

    @property
    def differences(self) -> int:
        """How many rows differ in all tables."""
        return sum(table.differences for table in self.tables)

    @property
    def certain(self) -> bool:
        """Whether every table was compared to its end, and no row was unsettled."""
        return (
            bool(self.tables)
            and not self.unknown
            and not any(table.problem or table.unsettled for table in self.tables)
        )
