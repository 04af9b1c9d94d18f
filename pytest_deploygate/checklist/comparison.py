"""Compare a team's checklist with the shipped one: the kind of each item, and where the team's is weaker."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.model import Item, Kind, Phase, Severity, Weakening

_HEAVIEST_FIRST = tuple(Severity)


def resolved(checklist: Checklist, shipped: Checklist, bound: Collection[str]) -> Checklist:
    """Return the checklist with the kind of each item resolved, and what decides it when a run closes.

    The item's own line takes precedence, then the shipped checklist's line with that id. A team's own item that no test
    is bound to becomes manual, so that nothing is dropped silently. A phase inherits the properties of a shipped phase
    with the same id.
    """
    phases = {phase.id: phase for phase in shipped.phases}

    def settled(item: Item) -> Item:
        known = shipped.get(item.id)
        if known is not None:
            item = dataclasses.replace(item, closing=item.closing or known.closing)
        if item.id in checklist.kind_given:
            return item
        if known is not None:
            return dataclasses.replace(item, kind=known.kind, role=item.role or known.role)
        return item if item.id in bound or item.closing else dataclasses.replace(item, kind=Kind.MANUAL)

    def settled_phase(phase: Phase) -> Phase:
        known = phases.get(phase.id, phase)
        return dataclasses.replace(
            phase,
            read_only=phase.read_only or known.read_only,
            whole_change=phase.whole_change or known.whole_change,
        )

    return dataclasses.replace(
        checklist,
        items=tuple(map(settled, checklist.items)),
        phases=tuple(map(settled_phase, checklist.phases)),
    )


def weakenings(checklist: Checklist, shipped: Checklist) -> list[Weakening]:
    """Return each item that has less weight, requires less or is missing, compared with the shipped checklist.

    A checklist that shares no id with the shipped one is independent: nothing in it can be weaker.
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
    return [*found, *_weaker_phases(checklist, shipped)]


def _weaker_phases(checklist: Checklist, shipped: Checklist) -> Iterator[Weakening]:
    """Yield the phases that a freeze or a missing decision blocks in the shipped checklist, but not in this one."""
    phases = {phase.id: phase for phase in shipped.phases}
    for phase in checklist.phases:
        known = phases.get(phase.id)
        items = tuple(item.id for item in checklist.items if item.phase == phase.id)
        if known and phase.read_only and not known.read_only:
            yield Weakening(
                f"{phase.id} is read-only here and runs in a freeze, unlike in the shipped checklist", items
            )
        if known and phase.whole_change and not known.whole_change:
            yield Weakening(f"no phase waits for {phase.id} here, unlike in the shipped checklist", items)


def _beside(missing: Item, checklist: Checklist) -> tuple[str, ...]:
    """Return the items of a missing item's phase and area: it would be in scope with them."""
    return tuple(
        item.id
        for item in checklist.items
        if item.phase == missing.phase or (missing.area and item.area == missing.area)
    )


def _weaker(mine: Item, known: Item) -> list[str]:
    """Describe how an item is weaker than the shipped one."""
    said = []
    if _HEAVIEST_FIRST.index(mine.severity) > _HEAVIEST_FIRST.index(known.severity):
        said.append(f"{known.id} is {mine.severity} here, {known.severity} in the shipped checklist")
    if mine.kind is not known.kind and mine.kind is Kind.MANUAL:
        said.append(f"{known.id} is attested by a person here, {known.kind} in the shipped checklist")
    if mine.kind is Kind.AUTOMATED and known.kind is not Kind.AUTOMATED:
        said.append(f"{known.id} needs no attestation here, but is {known.kind} in the shipped checklist")
    if mine.closing is not known.closing:
        here, there = (
            mine.closing or "decided by tests or a person",
            known.closing or "decided by tests or a person",
        )
        said.append(f"{known.id} is {here} here, {there} in the shipped checklist")
    if mine.waivable and not known.waivable:
        said.append(f"{known.id} can be waived here, not in the shipped checklist")
    return said
