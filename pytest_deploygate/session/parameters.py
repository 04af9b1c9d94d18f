"""Parametrisation from the inventory: a bound test that takes `replica`, `table`, … runs once for each of them."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.fields.types import Each
from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import redact


@dataclass(frozen=True)
class Missing:
    """Placeholder for a parameter missing from the inventory; the test's item is then not covered."""

    reason: str


def values(name: str, inventory: Inventory) -> tuple[list[Any], list[str]] | None:
    """Return values and ids for an argument name, or None if it does not come from the inventory.

    A missing section gives one `Missing` instead of an empty list, so that no test disappears.
    Raises ValueError if a file that the inventory names cannot be used.
    """
    said = sections.find(name)
    if said is None or not isinstance(said.said, Each):
        return None
    if words := sections.missing(inventory, name):
        return [Missing(words)], ["not-covered"]
    found = sections.entries(inventory, name)
    return [value for _, value in found], [redact(label) for label, _ in found]
