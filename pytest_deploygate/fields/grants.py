"""What a subject's checks must be granted, in words that the whole inventory's grants are worked out from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """Settings, statistics and statements of other roles are seen (`pg_monitor`)."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadEverything:
    """Tables that nobody can name beforehand are read: by queries of the inventory, by a sweep."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadTable:
    """One table (schema.name) is read."""

    table: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarkerRows:
    """Rows are written to the schema that the inventory's `writes` names."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of SQL; `{role}` in it stands for the gate's role. `why` says what it is for."""

    sql: str
    items: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class BesideSql:
    """What no SQL gives: a shell, another role's password, a line of a configuration file."""

    items: tuple[str, ...]
    what: str


Need = Statistics | ReadEverything | ReadTable | MarkerRows | Statement | BesideSql
