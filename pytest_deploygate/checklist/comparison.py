"""Compare a team's checklist with the shipped one: the kind of each item, and where the team's is weaker."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from pytest_deploygate.checklist.parser import Checklist, ChecklistError
from pytest_deploygate.model import Item, Kind, Phase, Severity, Weakening
from pytest_deploygate.problems import Problem, nearest

_HEAVIEST_FIRST = tuple(Severity)


def resolved(checklist: Checklist, shipped: Checklist, bound: Collection[str]) -> Checklist:
    """Return the checklist with the kind of each item resolved, and what decides it when a run closes.

    The item's own line takes precedence, then the shipped checklist's line with that id, or whose check it borrows. A
    team's own item that no test is bound to becomes manual, so that nothing is dropped silently. A phase inherits the
    properties of a shipped phase with the same id. Raises ChecklistError for a borrowed check that does not exist.
    """
    _must_exist(checklist, {item.id for item in shipped.items} | set(bound))
    phases = {phase.id: phase for phase in shipped.phases}

    def settled(item: Item) -> Item:
        known = shipped.get(item.check) or shipped.get(item.id)
        if known is not None:
            item = dataclasses.replace(item, closing=item.closing or known.closing)
        if item.id in checklist.kind_given:
            return item
        if known is not None:
            return dataclasses.replace(item, kind=known.kind, role=item.role or known.role)
        return (
            item
            if {item.id, item.check} & set(bound) or item.closing
            else dataclasses.replace(item, kind=Kind.MANUAL)
        )

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
    """Return each item that has less weight or requires less than in the shipped checklist, and the items left out.

    A checklist that shares no id with the shipped one is independent: only what it borrows can be weaker.
    """
    lines = _lines(checklist)
    found = [
        Weakening(text, (mine.id,))
        for known in shipped.items
        for mine in lines.get(known.id, ())
        for text in _weaker(mine, known)
    ]
    return [*found, *_without_items(checklist, shipped), *_weaker_phases(checklist, shipped)]


def _without_items(checklist: Checklist, shipped: Checklist) -> Iterator[Weakening]:
    """Yield one weakening for the items that were left out beside the same items: it bears on those.

    Items without neighbours are together, too, and bear on every scope.
    """
    missing: dict[tuple[str, ...], list[Item]] = {}
    for known in left_out(checklist, shipped):
        missing.setdefault(_beside(known, checklist), []).append(known)
    for items, gone in missing.items():
        yield Weakening(f"this checklist does {without(gone, shipped)}", items)


def left_out(checklist: Checklist, shipped: Checklist) -> list[Item]:
    """Return the shipped items that a checklist does without; none for one that shares no id with the shipped one."""
    ids = {item.id for item in checklist.items}
    if not any(item.id in ids for item in shipped.items):
        return []
    lines = _lines(checklist)
    return [known for known in shipped.items if known.id not in lines]


def without(missing: Sequence[Item], shipped: Checklist, most: int = 0) -> str:
    """Describe items that were left out in one line: `without 9 of 107 shipped items: infra.cdn, all 8 of comp`.

    With `most`, further names are only counted; the line is then short enough for a run's header.
    """
    groups = {item.id: item.id.partition(".")[0] for item in shipped.items}
    sizes, gone = Counter(groups.values()), Counter(groups[item.id] for item in missing)
    whole = {group for group, size in sizes.items() if size > 1 and gone[group] == size}
    named = [f"all {sizes[g]} of {g}" if (g := groups[item.id]) in whole else item.id for item in missing]
    names = list(dict.fromkeys(named))
    shown = names[: most or len(names)]
    rest = len(missing) - sum(1 for name in named if name in shown)
    more = f" and {rest} more" if rest else ""
    return f"without {len(missing)} of {len(shipped.items)} shipped items: {', '.join(shown)}{more}"


def _lines(checklist: Checklist) -> dict[str, list[Item]]:
    """Return the lines that ask for each check: the item's own, and those that borrow it."""
    found: dict[str, list[Item]] = {}
    for item in checklist.items:
        for name in {item.id, item.check}:
            found.setdefault(name, []).append(item)
    return found


def _must_exist(checklist: Checklist, checks: Collection[str]) -> None:
    wrong = [
        Problem(
            str(checklist.file),
            item.line,
            f"no check {item.check!r} to borrow{nearest(item.check, sorted(checks))}",
        )
        for item in checklist.items
        if item.check and item.check not in checks
    ]
    if wrong:
        raise ChecklistError(wrong)


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
    """Describe how an item is weaker than the shipped one, whose check it may borrow."""
    said = []
    name = mine.id if mine.id == known.id else f"{mine.id} (check {known.id})"
    if _HEAVIEST_FIRST.index(mine.severity) > _HEAVIEST_FIRST.index(known.severity):
        said.append(f"{name} is {mine.severity} here, {known.severity} in the shipped checklist")
    if mine.kind is not known.kind and mine.kind is Kind.MANUAL:
        said.append(f"{name} is attested by a person here, {known.kind} in the shipped checklist")
    if mine.kind is Kind.AUTOMATED and known.kind is not Kind.AUTOMATED:
        said.append(f"{name} needs no attestation here, but is {known.kind} in the shipped checklist")
    if mine.closing is not known.closing:
        here, there = (
            mine.closing or "decided by tests or a person",
            known.closing or "decided by tests or a person",
        )
        said.append(f"{name} is {here} here, {there} in the shipped checklist")
    if mine.waivable and not known.waivable:
        said.append(f"{name} can be waived here, not in the shipped checklist")
    return said
