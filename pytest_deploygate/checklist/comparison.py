"""A team's checklist beside the shipped one: who brings the evidence for an item, and where the team's is weaker."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.model import Item, Kind, Severity

_HEAVIEST_FIRST = tuple(Severity)


def resolved(checklist: Checklist, shipped: Checklist, bound: Collection[str]) -> Checklist:
    """Return the checklist with each item's kind settled.

    What a line says counts; else what the shipped checklist says of that id; an item of a team's own that no test
    is bound to becomes one that a person attests, so that nothing is silently dropped.
    """

    def settled(item: Item) -> Item:
        if item.id in checklist.kind_given:
            return item
        known = shipped.get(item.id)
        if known is not None:
            return dataclasses.replace(item, kind=known.kind, role=item.role or known.role)
        return item if item.id in bound else dataclasses.replace(item, kind=Kind.MANUAL)

    return dataclasses.replace(checklist, items=tuple(map(settled, checklist.items)))


def weakenings(checklist: Checklist, shipped: Checklist) -> list[str]:
    """Return a sentence for each item that weighs less, asks for less, or is missing, against the shipped checklist.

    A checklist that shares no id with the shipped one is a team's own: nothing in it can be weaker.
    """
    ours = {item.id: item for item in checklist.items}
    if not any(item.id in ours for item in shipped.items):
        return []
    said = []
    for known in shipped.items:
        mine = ours.get(known.id)
        if mine is None:
            said.append(f"{known.id} ({known.text}) is not in this checklist")
            continue
        if _HEAVIEST_FIRST.index(mine.severity) > _HEAVIEST_FIRST.index(known.severity):
            said.append(f"{known.id} is {mine.severity} here, {known.severity} in the shipped checklist")
        if mine.kind is not known.kind and mine.kind is Kind.MANUAL:
            said.append(f"{known.id} is attested by a person here, {known.kind} in the shipped checklist")
        if mine.kind is Kind.AUTOMATED and known.kind is not Kind.AUTOMATED:
            said.append(
                f"{known.id} asks for no attestation here, it is {known.kind} in the shipped checklist"
            )
        if mine.waivable and not known.waivable:
            said.append(f"{known.id} can be waived here, not in the shipped checklist")
    return said
