"""Parametrisation over the inventory: a bound test that takes `replica`, `table`, … runs once for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_deploygate.inventory.models import Database, Inventory
from pytest_deploygate.probes import catalog


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands for a parameter that the inventory does not name; the test's item is then not covered."""

    reason: str


Named = Sequence[tuple[str, object]]


def values(name: str, inventory: Inventory) -> tuple[list[Any], list[str]] | None:
    """Return values and ids for an argument name, or None when the inventory has nothing to do with it.

    What the inventory leaves out gives one `Missing` in place of an empty list: no test disappears.
    """
    source = _SOURCES.get(name)
    if source is None:
        return None
    key, read, add = source
    if inventory.database is None:
        return [Missing(NO_DATABASE)], ["not-covered"]
    found = read(inventory.database)
    if not found:
        return [Missing(f"the inventory has no database.{key}; add `{add}`")], ["not-covered"]
    return [value for _, value in found], [label for label, _ in found]


NO_DATABASE = "the inventory has no `database` section; add one with name, user and primary"


def _by_name(entries: Sequence[Any] | None) -> Named:
    return [(entry.name, entry) for entry in entries or ()]


def _tables(database: Database) -> Named:
    if database.tables is None:
        return []
    return [(name, name) for name in catalog.load_snapshot(database.tables.snapshot).table_names]


_SOURCES: dict[str, tuple[str, Callable[[Database], Named], str]] = {
    "node": ("primary", lambda d: _by_name(d.nodes), "primary: db1.example.com"),
    "replica": ("replicas", lambda d: _by_name(d.replicas), "replicas: [db2.example.com, db3.example.com]"),
    "table": ("tables", _tables, "tables: {snapshot: FILE}, the file written by `deploygate snapshot`"),
    "indexed_query": (
        "indexes.queries",
        lambda d: _by_name(d.indexes.queries if d.indexes else None),
        "queries: [{name: …, sql: SELECT …, uses: INDEX}]",
    ),
    "aggregate": (
        "aggregates",
        lambda d: [(entry.relation, entry) for entry in d.aggregates or ()],
        "aggregates: [{relation: …, bucket: …, width: 1h, key: […], recompute: SELECT …}]",
    ),
    "partitioned": (
        "partitioning",
        lambda d: [(entry.table, entry) for entry in d.partitioning or ()],
        "partitioning: [{table: …, column: …, interval: 1d}]",
    ),
    "backup_job": (
        "backups",
        lambda d: _by_name(d.backups),
        "backups: [{name: nightly, schedule: {…}, last_run: {…}}]",
    ),
    "validation_query": (
        "validation",
        lambda d: _by_name(d.validation),
        "validation: [{name: …, sql: SELECT …, expect: …}]",
    ),
}
