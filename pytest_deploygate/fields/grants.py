"""The grants that a subject's checks need, in a form from which the inventory's grants are computed."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Statistics:
    """Reads settings, statistics and statements of other roles (`pg_monitor`)."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class ReadEverything:
    """Reads tables that are not known in advance: in queries of the inventory, in a sweep."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class ReadTable:
    """Reads one table (schema.name)."""

    table: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class MarkerRows:
    """Writes rows to the schema named by the inventory's `writes`."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """An SQL statement; `{role}` in it is replaced by the gate's role. `why` is its purpose."""

    sql: str
    items: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class BesideSql:
    """What SQL cannot grant: a shell, another role's password, a line in a configuration file."""

    items: tuple[str, ...]
    what: str


Need = Statistics | ReadEverything | ReadTable | MarkerRows | Statement | BesideSql
