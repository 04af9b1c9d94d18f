"""Which items of the checklist an inventory is enough for, and what it lacks for the others. Nothing is connected to."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.cli.shared import repository
from pytest_deploygate.inventory.loader import Loaded
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.session import needs, shipped
from pytest_deploygate.session.declared import Function


@dataclass(frozen=True)
class Checkable:
    """One item with tests: how many targets its tests have, and what the inventory lacks for the rest of them."""

    id: str
    phase: str
    text: str
    targets: int
    lacks: tuple[str, ...]

    @property
    def at_once(self) -> bool:
        """True if it gets a verdict as the inventory is."""
        return self.targets > 0


def items(root: Path, loaded: Loaded) -> list[Checkable]:
    """Return the items that tests decide, in the checklist's order."""
    with repository.plainly():
        found = repository.tested(root, None)
    functions = found.functions or tuple(shipped.functions())
    left = needs.left_to_others(functions, loaded.inventory)
    result = []
    for item in found.checklist.items:
        mine = [f for f in functions if item.id in f.items and f.test not in left]
        if mine:
            result.append(_of(item.id, item.phase, item.text, mine, loaded))
    return result


def _of(item: str, phase: str, text: str, functions: list[Function], loaded: Loaded) -> Checkable:
    lacks = [words for f in functions for words in needs.missing(f.arguments, loaded.inventory)]
    targets = sum(needs.targets(f.arguments, loaded.inventory) for f in functions)
    return Checkable(item, phase, text, targets, tuple(dict.fromkeys(lacks)))
