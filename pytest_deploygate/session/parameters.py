"""Parametrisation over the inventory: a bound test that takes `replica`, `table`, … runs once for each of them.

Most names stand at the inventory's own fields (`Each`); here are those that have to be worked out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_deploygate.checks.structure.probe import catalog
from pytest_deploygate.fields.types import Each
from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.models import Inventory


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands for a parameter that the inventory does not name; the test's item is then not covered."""

    reason: str


Named = Sequence[tuple[str, object]]


def values(name: str, inventory: Inventory) -> tuple[list[Any], list[str]] | None:
    """Return values and ids for an argument name, or None when the inventory has nothing to do with it.

    What the inventory leaves out gives one `Missing` in place of an empty list: no test disappears.
    Raises ValueError when a file that the inventory names cannot be used.
    """
    section, read = _WORKED_OUT.get(name, (name, None))
    said = sections.declared().get(section)
    if said is None or not (read or isinstance(said.said, Each)):
        return None
    if words := sections.missing(inventory, section):
        return [Missing(words)], ["not-covered"]
    found = read(inventory) if read else [(sections.label(e), e) for e in _entries(inventory, section)]
    return [value for _, value in found], [label for label, _ in found]


def _entries(inventory: Inventory, section: str) -> Sequence[object]:
    found = sections.value(inventory, section)
    return found if isinstance(found, list) else []


def _nodes(inventory: Inventory) -> Named:
    return [(node.name, node) for node in inventory.database.nodes] if inventory.database else []


def _tables(inventory: Inventory) -> Named:
    section = inventory.database.tables if inventory.database else None
    return [(name, name) for name in catalog.load_snapshot(section.snapshot).table_names] if section else []


#: Argument, the section that it needs, and how its values follow from it.
_WORKED_OUT: dict[str, tuple[str, Callable[[Inventory], Named]]] = {
    "node": ("postgres", _nodes),
    "table": ("tables", _tables),
}
