"""What a bound test needs of the inventory, known from its arguments alone: nothing is run, nobody is connected to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pytest_deploygate.inventory.models import Database, Inventory
from pytest_deploygate.session import parameters
from pytest_deploygate.session.parameters import NO_DATABASE, Missing

_NO_TABLES = (
    "the inventory has no database.tables; write a snapshot with `deploygate snapshot` "
    "and add `tables: {snapshot: FILE}`"
)
#: Whether the section behind a fixture is there, and the words of that fixture where it is not.
_SECTIONS: dict[str, tuple[Callable[[Database], object], str]] = {
    "migrations": (
        lambda database: database.migrations,
        "the inventory has no database.migrations; add `migrations: {alembic: FOLDER}` or a query with expect",
    ),
    "tables": (lambda database: database.tables, _NO_TABLES),
    "snapshot": (lambda database: database.tables, _NO_TABLES),
    "indexes": (
        lambda database: database.indexes or database.tables,
        "the inventory has no database.indexes and no table snapshot; add `indexes: {expected: [schema.name]}`",
    ),
}


def missing(arguments: Sequence[str], inventory: Inventory) -> tuple[str, ...]:
    """Return what the inventory must say more for a test with these arguments to run, in words."""
    found: dict[str, str] = {}
    for name in arguments:
        if words := _missing(name, inventory):
            found.setdefault(words.partition(";")[0], words)  # a section and its entries are one thing to add
    return tuple(found.values())


def targets(arguments: Sequence[str], inventory: Inventory) -> int:
    """Return how many times a test with these arguments runs; 0 where something is missing."""
    if missing(arguments, inventory):
        return 0
    counts = [len(found[0]) for name in arguments if (found := parameters.values(name, inventory))]
    return math.prod(counts)


def _missing(name: str, inventory: Inventory) -> str:
    if name == "postgres" or name in _SECTIONS:
        if inventory.database is None:
            return NO_DATABASE
        there, words = _SECTIONS.get(name, (bool, ""))
        return "" if there(inventory.database) else words
    try:
        found = parameters.values(name, inventory)
    except ValueError as error:  # a snapshot that is not there or not one
        return str(error)
    first = found[0][0] if found else None
    return first.reason if isinstance(first, Missing) else ""
