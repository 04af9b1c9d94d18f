"""Measurements of reports, as frozen values: no I/O, no limits."""

from __future__ import annotations

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass

#: A cell as it is written: text, or the number that a spreadsheet has.
Cell = str | int | float
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class File:
    """One file of a report, with all its tables; a table is its rows, the row of headings among them.

    `wrong` says what kept it from being a report at all, `problem` why it could not be had or read.
    """

    name: str
    took_s: float
    tables: tuple[tuple[Row, ...], ...] = ()
    size: int = 0
    wrong: str = ""
    problem: str = ""
    lag: OwnLag = OwnLag()


@dataclass(frozen=True)
class Answer:
    """What a query returned: numbers as numbers, all else as text. `problem`: it could not be run."""

    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Generated:
    """A report of a day, with what the database has. `changed`: the queries had another answer after the files came."""

    name: str
    day: str
    files: tuple[File, ...]
    rows: Answer
    total: Answer | None
    changed: bool = False
