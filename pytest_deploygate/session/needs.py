"""What a bound test needs from the inventory, derived from its arguments alone: nothing is run or connected to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.session import fixtures, parameters
from pytest_deploygate.session.declared import Function


def subjects(functions: Iterable[Function]) -> frozenset[str]:
    """Return the subjects whose sections tests request, by themselves or through fixtures."""
    found: set[str] = set()
    names = {name for function in functions for name in function.arguments}
    seen: set[str] = set()
    while names - seen:
        name = (names - seen).pop()
        seen.add(name)
        source = fixtures.declared().get(name)
        if (subject := sections.subject_of(name)) is not None:
            found.add(subject)
        elif source is not None:
            names |= {*source.arguments, *source.sections}
    return frozenset(found)


def missing(arguments: Sequence[str], inventory: Inventory) -> tuple[str, ...]:
    """Describe what must be added to the inventory for a test with these arguments to run."""
    found: dict[str, str] = {}
    for name in arguments:
        if words := _missing(name, inventory):
            found.setdefault(words.partition(";")[0], words)  # a section and its entries are added together
    return tuple(found.values())


def targets(arguments: Sequence[str], inventory: Inventory) -> int:
    """Return how many times a test with these arguments runs; 0 if something is missing."""
    if missing(arguments, inventory):
        return 0
    counts = [len(found[0]) for name in arguments if (found := parameters.values(name, inventory))]
    return math.prod(counts)


def left_to_others(functions: Sequence[Function], inventory: Inventory) -> set[str]:
    """Return the tests that may be left out: what they lack is optional, and another test covers each of their items.

    An inventory without TimescaleDB, or without native partitions, loses nothing by leaving out their tests. If none of
    an item's tests can run, those stay and report what they need that any shop may have; a product that the inventory does
    not name (`timescale`) is asked for only where nothing else can decide the item.
    """
    whole = {f.test for f in functions if not _lacks_any(f, inventory)}
    covered = {item for f in functions if f.test in whole for item in f.items}
    without = {f.test for f in functions if f.test not in whole and _lacks_a_product(f, inventory)}
    decided = {item for f in functions if f.test not in without for item in f.items}
    return {
        f.test
        for f in functions
        if f.test not in whole
        and (
            (covered.issuperset(f.items) and _lacks_what_is_optional(f, inventory))
            or (f.test in without and decided.issuperset(f.items))
        )
    }


def _lacks_any(function: Function, inventory: Inventory) -> bool:
    """Tell whether anything is missing for a test; what the inventory has no word of is not imported to say so."""
    absent = any(_is_absent(name, inventory) for name in function.arguments)
    return absent or bool(missing(function.arguments, inventory))


def _is_absent(name: str, inventory: Inventory) -> bool:
    if sections.subject_of(name) is not None:
        return sections.absent(inventory, name)
    source = fixtures.declared().get(name)
    return source is not None and any(_is_absent(taken, inventory) for taken in source.arguments)


def _lacks_a_product(function: Function, inventory: Inventory) -> bool:
    """Tell whether a test needs a section of a product of which the inventory names nothing at all."""
    products = {sections.product(name) for name in function.arguments} - {""}
    return any(_lacks(name, inventory) for name in products)


def _lacks_what_is_optional(function: Function, inventory: Inventory) -> bool:
    return any(sections.optional(name) and _lacks(name, inventory) for name in function.arguments)


def _lacks(name: str, inventory: Inventory) -> bool:
    return sections.absent(inventory, name) or bool(sections.lacking(inventory, name))


def _missing(name: str, inventory: Inventory) -> str:
    """Describe what a test's argument lacks: a section, or what the fixture of that name needs in turn."""
    if sections.subject_of(name) is not None:
        return sections.lacking(inventory, name)
    source = fixtures.declared().get(name)
    lacking = (_missing(taken, inventory) for taken in source.arguments) if source else iter(())
    return next(filter(None, lacking), "")
