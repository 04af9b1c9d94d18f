"""Complete an inventory with the entries that its sections have from elsewhere, such as an Ansible inventory.

A section's class says where (`InventoryKeys.listed`); the subject's module `listing` asks there. Its `ask(section)` returns
plain data, which another process of the same run can use (pytest-xdist), and `complete(section, data)` the whole section.
Both raise ValueError.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from pytest_deploygate.fields.types import InventoryKeys
from pytest_deploygate.inventory.models import Inventory


class ListingError(Exception):
    """What a section names elsewhere cannot be listed; `location` is the section's place in the inventory."""

    def __init__(self, location: tuple[str, ...], why: str) -> None:
        self.location = location
        super().__init__(why)


def complete(inventory: Inventory, told: Mapping[str, Any]) -> tuple[Inventory, dict[str, Any]]:
    """Return the inventory with all entries, and what was listed by the names of its keys: never to be written.

    `told` is what another process of this run has listed. Raises ListingError, and ValidationError for names in other
    sections that are not among the entries.
    """
    found: dict[str, Any] = {}
    whole: dict[str, object] = {}
    for module, key, inner in _elsewhere(inventory):
        section = getattr(inventory, key)
        listing = importlib.import_module(module)
        try:
            found[key] = told[key] if key in told else listing.ask(section)
            whole[key] = listing.complete(section, found[key])
        except ValueError as error:
            raise ListingError((key, inner), str(error)) from None
    if not whole:
        return inventory, found
    inventory = inventory.model_copy(update=whole)
    for validator in type(inventory).__pydantic_decorators__.model_validators.values():
        if validator.info.mode == "after":
            _ask_again(validator.func, inventory)
    return inventory, found


def _ask_again(validator: Callable[[Inventory], object], inventory: Inventory) -> None:
    """Ask what was asked of the inventory before its entries were known, such as whether names in other sections are."""
    try:
        validator(inventory)
    except ValidationError:
        raise
    except ValueError as error:
        raise ListingError((), str(error)) from None


def values(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what was listed as values of the inventory: what is listed next time must be the same to count as the same."""
    return tuple((f"{key} as listed", json.dumps(data, sort_keys=True)) for key, data in found.items())


def _elsewhere(inventory: Inventory) -> Iterator[tuple[str, str, str]]:
    """Yield the listing module, the key and its inner key of each section that is listed elsewhere."""
    for keys in type(inventory).__mro__:
        if keys is InventoryKeys or not issubclass(keys, InventoryKeys):
            continue
        for key, inner in vars(keys).get("listed", {}).items():
            section = getattr(inventory, key, None)
            if section is not None and getattr(section, inner) is not None:
                yield f"{keys.__module__.rpartition('.')[0]}.listing", key, inner
