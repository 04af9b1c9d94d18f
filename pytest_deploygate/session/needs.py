"""What a bound test needs of the inventory, known from its arguments alone: nothing is run, nobody is connected to."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.session import parameters
from pytest_deploygate.session.parameters import Missing

#: Fixtures that need one of several sections, or another's.
_SECTIONS = {"snapshot": ("tables",), "indexes": ("indexes", "tables"), "expected_indexes": ()}


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
    enough = _SECTIONS.get(name, (name,) if name in sections.declared() else ())
    lacking = [sections.missing(inventory, section) for section in enough]
    if lacking:
        return lacking[0] if all(lacking) else ""
    try:
        found = parameters.values(name, inventory)
    except ValueError as error:  # a snapshot that is not there or not one
        return str(error)
    first = found[0][0] if found else None
    return first.reason if isinstance(first, Missing) else ""
