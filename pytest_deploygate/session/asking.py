"""The items of a checklist that a test is asked about.

A test's marker names checks: `@pytest.mark.item("infra.backup-system")`. The checklist's line with that id asks for the
check, and so does each line that borrows it (`{#before.backup check=infra.backup-system}`). An item that does not apply
asks no test, nor does a shipped item whose line the checklist does without.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import nearest
from pytest_deploygate.session.declared import Function


@dataclass(frozen=True)
class Asking:
    """The items by the check that they ask for. `unasked` are the checks that exist, but that no line asks for.

    `not_applicable` are the items that the inventory declares so: they ask no test.
    """

    by_check: Mapping[str, tuple[str, ...]]
    unasked: frozenset[str] = frozenset()
    not_applicable: frozenset[str] = frozenset()

    def items(self, check: str) -> tuple[str, ...]:
        """Return the items that a check produces findings for; the check itself if nobody knows it."""
        known = self.by_check.get(check, () if check in self.unasked else (check,))
        return tuple(item for item in known if item not in self.not_applicable)

    def all_items(self, checks: Iterable[str]) -> tuple[str, ...]:
        """Return the items of several checks, each once."""
        return tuple(dict.fromkeys(item for check in checks for item in self.items(check)))

    def knows(self, check: str) -> bool:
        """Tell whether a line of this checklist or of the shipped one has this check."""
        return check in self.by_check or check in self.unasked

    def not_an_item(self, name: str, known: Sequence[str]) -> str:
        """Say why `not_applicable` cannot name this; empty if it can. `known` are the checklist's items.

        A shipped item that the checklist does without may be named: the inventory may serve several checklists.
        """
        if name in known or name in self.unasked:
            return ""
        if borrowing := self.by_check.get(name):
            return f"the checklist has no line {name!r}, but lines that borrow its check: name {' or '.join(borrowing)}"
        return f"no item {name!r} in the checklist{nearest(name, known)}"

    def functions(self, found: Sequence[Function]) -> list[Function]:
        """Return the test functions with the items that they are asked about, without those asked about none."""
        asked = [(function, self.all_items(function.items)) for function in found]
        return [f if items == f.items else dataclasses.replace(f, items=items) for f, items in asked if items]


def asking(
    checklist: Checklist, shipped_checks: Collection[str], not_applicable: Collection[str] = ()
) -> Asking:
    """Return what a checklist asks for; `shipped_checks` are the ids of the shipped checklist and its tests."""
    by_check: defaultdict[str, list[str]] = defaultdict(list)
    for item in checklist.items:
        by_check[item.id].append(item.id)
        if item.check and item.check != item.id:
            by_check[item.check].append(item.id)
    return Asking(
        {check: tuple(items) for check, items in by_check.items()},
        frozenset(shipped_checks) - by_check.keys(),
        frozenset(not_applicable),
    )
