"""What to compare and how, as frozen values: no I/O."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import field

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class ColumnPair:
    """A column on both sides. `source_sql` and `target_sql` replace the plain column; empty: the column itself.

    `name` is the column of the source, or of the target where the source has only an expression.
    """

    name: str
    source: str
    target: str
    source_sql: str = ""
    target_sql: str = ""
    sensitive: bool = False


@dataclass(frozen=True)
class Wanted:
    """One table as the inventory wants it compared. Names are parts of the catalog: (schema, table).

    `key` are columns of the source; empty: found by itself. `renamed` maps columns of the source to those of the target,
    `left_out` to the reason. `source_sql` and `target_sql` map columns of the source to expressions of that side.
    """

    source: tuple[str, str]
    target: tuple[str, str]
    key: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    source_sql: dict[str, str] = field(default_factory=dict)
    target_sql: dict[str, str] = field(default_factory=dict)
    sensitive: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table that can be compared: its columns in order, and its key as columns of both sides; no key: as a multiset.

    `ordered` are the first columns of the key by which ranges are made; empty: parts are made by a hash of the key.
    `types` are those of all columns, of both sides.
    `scattered`: rows of neighbouring keys are not neighbours on the disk of one side. `rows` and `pages` are the source's, by
    its statistics. `whole`: the first column of the key is a whole number. `common`: the sides are unlike, and rows are in the
    form that both can write. `notes` say what is compared in another form than it is stored, `unknown` which columns are not
    compared.
    """

    source: tuple[str, str]
    target: tuple[str, str]
    columns: tuple[ColumnPair, ...]
    key: tuple[ColumnPair, ...]
    ordered: tuple[tuple[str, str], ...]
    source_types: tuple[str, ...]
    target_types: tuple[str, ...]
    types: tuple[tuple[str, str], ...] = ()
    rows: int = 0
    pages: int = 0
    scattered: bool = False
    whole: bool = False
    common: bool = False
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the source's table, as it is written in files."""
        return ".".join(self.source)


@dataclass(frozen=True)
class Budget:
    """What a comparison may use.

    `connections` per side, one more for looking at rows. `rest` is the share of the time that each of them pauses.
    It waits while more than `max_active` other sessions are active on a server (None: no limit).
    `most_written` limits the lines of the file of differences, `statement_s` each statement.
    """

    connections: int = 1
    rest: float = 0.0
    max_active: int | None = None
    most_written: int = 100_000
    statement_s: float = 600.0


@dataclass(frozen=True)
class Live:
    """How to look again at rows that differ while the source is written to: `times` times, each after `delay_s`.

    `caught_up` waits until the target has confirmed what the source has written, at most `times` the delay, in place of a
    delay; see `position`.
    """

    delay_s: float
    times: int = 3
    caught_up: Callable[[float, threading.Event], None] | None = None


@dataclass(frozen=True)
class Shard:
    """One of `of` shares of the parts, counted from 1."""

    number: int = 1
    of: int = 1
