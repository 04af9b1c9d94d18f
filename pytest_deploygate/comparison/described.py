"""What the catalog of a server says about its tables, as far as a comparison needs it: frozen values, no I/O."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass

POSTGRES = "postgresql"


@dataclass(frozen=True)
class Form:
    """A text in which a server can write a column, so that another kind of server writes equal values equally.

    `name` says which text that is: see the table in docs/comparing-other-servers.md. `sql` is the expression over the
    column, its name included. `note` says what the text does not show of what is stored.
    """

    name: str
    sql: str
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column: `type` as the server names it (of a domain, its base), `filled` if it can't be NULL.

    `bytewise` if its order is that of bytes. `correlation` from 0 to 1 says how far the order of the rows on the disk is its
    own; None: unknown.

    The rest is for comparisons of unlike servers. `forms` are the best first; with none, `problem` says why. `order` is
    `whole` or `bytes` where ranges can be made: whole numbers, or texts in the order of their bytes in UTF-8.
    """

    name: str
    type: str
    enum: bool
    filled: bool
    bytewise: bool
    correlation: float | None
    forms: tuple[Form, ...] = ()
    order: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Described:
    """A table of the catalog. `keys` are the columns of its primary key, then of unique indexes that admit no NULL.

    `driven_by` is the column that partitions or chunks are made by; empty if there is none. `rows` are estimated. `kind` is
    that of the server.
    """

    name: tuple[str, str]
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    rows: int
    pages: int
    driven_by: str = ""
    kind: str = POSTGRES

    def column(self, name: str) -> Column | None:
        """Return a column by name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Catalog:
    """The tables of a database by name, and how many large objects it has.

    `unseen` says why there may be tables that the role cannot see; empty: it sees all.
    """

    tables: dict[tuple[str, str], Described]
    large_objects: int
    unseen: str = ""


def alike(source: str, target: str) -> bool:
    """Tell whether servers of these kinds write values in the same way by themselves."""
    return source == target == POSTGRES
