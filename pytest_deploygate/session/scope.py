"""The scope of a run: the items that `-m` selects by phase and area, and whether the names in it exist."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

import pytest
from _pytest.mark.expression import Expression  # pytest's own grammar of -m; it has no public name

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.decision.standing import WHOLE
from pytest_deploygate.model import Item
from pytest_deploygate.problems import nearest

__all__ = ["WHOLE", "by_item_alone", "check", "item_ids", "markers_of"]

_NAME = re.compile(r"[A-Za-z_]\w*")
_WORDS = {"and", "or", "not", "True", "False", "None"}


def markers_of(item: Item) -> tuple[str, ...]:
    """Return the markers that a test of this item carries: its phase and its area."""
    return tuple(dict.fromkeys(name for name in (item.phase, item.area) if name))


def check(expression: str, checklist: Checklist, registered: list[str]) -> None:
    """Reject a `-m` with an unknown phase, area or marker. Raises pytest.UsageError."""
    phases = [phase.id for phase in checklist.phases]
    valid = [*phases, *checklist.areas, *registered]
    for name in _NAME.findall(re.sub(r"\([^()]*=[^()]*\)", "", expression)):
        if name not in _WORDS and name not in valid:
            hint = nearest(name, [*phases, *checklist.areas])
            raise pytest.UsageError(f"-m {expression!r}: no phase, area or marker is named {name!r}{hint}")


def by_item_alone(expression: str, checklist: Checklist) -> bool:
    """Tell whether `-m` names only phases and areas: tests without an item in scope are then not selected."""
    names = {name for item in checklist.items for name in markers_of(item)}
    return set(_NAME.findall(expression)) - _WORDS <= names


def item_ids(expression: str, checklist: Checklist, only: Collection[str] = ()) -> tuple[str, ...]:
    """Return the ids of the items in scope, in the checklist's order; with `only`, those among them.

    Raises SyntaxError for an expression that cannot be read.
    """
    items = [item for item in checklist.items if not only or item.id in only]
    if not expression:
        return tuple(item.id for item in items)
    compiled = Expression.compile(expression)

    @cache  # there are as many answers as phases and areas, for thousands of items
    def selected(names: tuple[str, ...]) -> bool:
        def has(name: str, /, **_: object) -> bool:
            return name in names

        return compiled.evaluate(has)

    return tuple(item.id for item in items if selected(markers_of(item)))
