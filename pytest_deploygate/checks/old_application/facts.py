"""Measurements of the old application's statements on both schemas, as frozen values: no I/O, no limits."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Prepared:
    """How a statement was prepared on one schema. `code` is the SQLSTATE of the error, empty if it was prepared.

    `parameters` and `results` are types as SQL writes them; `results` are (name, type) of each column.
    """

    code: str = ""
    said: str = ""
    parameters: tuple[str, ...] = ()
    results: tuple[tuple[str, str], ...] = ()

    @property
    def good(self) -> bool:
        """True if it was prepared."""
        return not self.code


@dataclass(frozen=True)
class Statement:
    """A recorded statement. `new` is with types left to the server, `typed` with those that it has on the old schema.

    `old` and `typed` are None where there is no old schema, or no need. `denied` are privileges that its role lacks.
    """

    text: str
    calls: int
    new: Prepared
    old: Prepared | None = None
    typed: Prepared | None = None
    denied: tuple[str, ...] = ()


@dataclass(frozen=True)
class Write:
    """A statement that inserts rows: the table as the server resolves it, and the columns that it names.

    `columns` is None where it names none: then its values are those of the first columns. `copies`: it is a COPY.
    """

    table: str
    columns: tuple[str, ...] | None
    text: str
    copies: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table. `required`: it is NOT NULL and has no default, identity or expression."""

    name: str
    type: str
    required: bool
    generated: bool = False


@dataclass(frozen=True)
class Table:
    """A table that is written, on both schemas. `old` is None if it is not known. `filled_in`: a trigger runs before a row
    is inserted, which may set columns.
    """

    name: str
    new: tuple[Column, ...]
    old: tuple[Column, ...] | None = None
    filled_in: bool = False


@dataclass(frozen=True)
class Recorded:
    """What pg_stat_statements has of the roles. `hidden` are statements without their text.

    `since` is when the record began and `now` the server's clock. `evicted` is how many times entries were dropped for lack
    of room. None is unknown.
    """

    where: str
    statements: int
    hidden: int = 0
    since: datetime | None = None
    now: datetime | None = None
    evicted: int | None = None
    cut: bool = False


@dataclass(frozen=True)
class Smoke:
    """A smoke check of the old application and how it ended; `reached` is false if nothing answered."""

    name: str
    good: bool
    reached: bool
    said: str


@dataclass(frozen=True)
class OldOnNew:
    """The old application on the new schema. `untried` are (statement, why), `ignored` how many the inventory leaves out.

    `session` are statements that only control a session or transaction. `compared` is true if there is an old schema.
    """

    where: str
    recorded: Recorded
    statements: tuple[Statement, ...] = ()
    writes: tuple[Write, ...] = ()
    tables: tuple[Table, ...] = ()
    untried: tuple[tuple[str, str], ...] = ()
    session: int = 0
    ignored: int = 0
    compared: bool = False
    smoke: tuple[Smoke, ...] = field(default=())
