"""Compare a team's checklist with the shipped one: the kind of each item, and where the team's checklist is weaker."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.model import Item, Kind, Severity, Weakening

_HEAVIEST_FIRST = tuple(Severity)


def resolved(checklist: Checklist, shipped: Checklist, bound: Collection[str]) -> Checklist:
    """Return the checklist with the kind of each item settled.

    The item's own line counts first, then the shipped checklist's line with that id. A team's own item that no test is
    bound to becomes manual, so that nothing is dropped silently.
    """

    def settled(item: Item) -> Item:
        if item.id in checklist.kind_given:
            return item
        known = shipped.get(item.id)
        if known is not None:
            return dataclasses.replace(item, kind=known.kind, role=item.role or known.role)
        return item if item.id in bound else dataclasses.replace(item, kind=Kind.MANUAL)

    return dataclasses.replace(checklist, items=tuple(map(settled, checklist.items)))


def weakenings(checklist: Checklist, shipped: Checklist) -> list[Weakening]:
    """Return each item that weighs less, asks for less or is missing, compared with the shipped checklist.

    A checklist that shares no id with the shipped one is a team's own: nothing in it can be weaker.
    """
    ours = {item.id: item for item in checklist.items}
    if not any(item.id in ours for item in shipped.items):
        return []
    found: list[Weakening] = []
    for known in shipped.items:
        mine = ours.get(known.id)
        if mine is None:
            text = f"{known.id} ({known.text}) is not in this checklist"
            found.append(Weakening(text, _beside(known, checklist)))
        else:
            found += [Weakening(text, (known.id,)) for text in _weaker(mine, known)]
    return found


def _beside(missing: Item, checklist: Checklist) -> tuple[str, ...]:
    """Return the items of the phase and the area that a missing one belongs to: it would be in scope with them."""
    return tuple(
        item.id
        for item in checklist.items
        if item.phase == missing.phase or (missing.area and item.area == missing.area)
    )


def _weaker(mine: Item, known: Item) -> list[str]:
    """Say how an item is weaker than the shipped one."""
    said = []
    if _HEAVIEST_FIRST.index(mine.severity) > _HEAVIEST_FIRST.index(known.severity):
        said.append(f"{known.id} is {mine.severity} here, {known.severity} in the shipped checklist")
    if mine.kind is not known.kind and mine.kind is Kind.MANUAL:
        said.append(f"{known.id} is attested by a person here, {known.kind} in the shipped checklist")
    if mine.kind is Kind.AUTOMATED and known.kind is not Kind.AUTOMATED:
        said.append(f"{known.id} asks for no attestation here, it is {known.kind} in the shipped checklist")
    if mine.waivable and not known.waivable:
        said.append(f"{known.id} can be waived here, not in the shipped checklist")
    return said
