"""Tests bound to items by `@pytest.mark.item("id")`, listed before anything is deselected.

Under pytest-xdist the workers collect and the controller writes the journal, so workers pass the list in a file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.files import write_whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import nearest
from pytest_deploygate.session.asking import Asking
from pytest_deploygate.session.manual import AttestedItem
from pytest_deploygate.session.scope import markers_of


@dataclass(frozen=True)
class BoundTest:
    """A test with the items it produces findings for."""

    test: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class Collected:
    """The bound tests of a run, or of its part if it is a shard, before anything is deselected.

    `elsewhere` are those that other shards run, `disruptive` those of this part that disturb others, and `division` is
    the digest of all; empty for a whole run.
    """

    tests: tuple[BoundTest, ...]
    elsewhere: tuple[str, ...] = ()
    disruptive: tuple[str, ...] = ()
    division: str = ""


#: The stash key of the items that a test is asked about, by the ids that its markers name.
_ASKED = pytest.StashKey[dict[str, tuple[str, ...]]]()


def checks(test: pytest.Item) -> tuple[str, ...]:
    """Return the ids that a test's `item` markers name."""
    return tuple(dict.fromkeys(str(a) for mark in test.iter_markers("item") for a in mark.args))


def ask(test: pytest.Item, asking: Asking) -> bool:
    """Note the items that a test is asked about. Return False for a bound test that is asked about none."""
    if isinstance(
        test, AttestedItem
    ):  # attests the one item whose name it has, and nothing that borrows its check
        found: dict[str, tuple[str, ...]] = {test.name: (test.name,)}
    else:
        found = {check: asking.items(check) for check in checks(test)}
    test.stash[_ASKED] = found
    return not found or any(found.values())


def asked(test: pytest.Item) -> dict[str, tuple[str, ...]]:
    """Return the items that a test is asked about, by the ids that its markers name."""
    return test.stash.get(_ASKED, None) or {check: (check,) for check in checks(test)}


def item_ids(test: pytest.Item) -> tuple[str, ...]:
    """Return the items that a test is asked about."""
    return tuple(dict.fromkeys(item for items in asked(test).values() for item in items))


def bind(
    collected: Iterable[pytest.Item], checklist: Checklist, in_scope: Collection[str]
) -> list[BoundTest]:
    """Add the phase and area markers of its items to every bound test; only of the items in scope, if any are.

    `ask` has seen each test.

    So `-m "phase2 and not preflight"` runs a test that is bound to an item of each.

    Raises pytest.UsageError for an id that the checklist does not have, with file, line and the nearest one.
    """
    bound, problems = [], []
    known = [item.id for item in checklist.items]
    for test in collected:
        ids = item_ids(test)
        if not asked(test) and any(test.iter_markers("item")):
            problems.append(
                f'{_place(test)}: the item marker names no item; write @pytest.mark.item("db.restore")'
            )
        marking = set(ids) & set(in_scope) or set(ids)
        for item_id in ids:
            item = checklist.get(item_id)
            if item is None:
                problems.append(
                    f"{_place(test)}: no item {item_id!r} in {checklist.file.name}{nearest(item_id, known)}"
                )
                continue
            for name in markers_of(item) if item_id in marking else ():
                test.add_marker(name)
        if ids:
            bound.append(BoundTest(test.nodeid, ids))
    if problems:
        raise pytest.UsageError("\n" + "\n".join(dict.fromkeys(problems)) + "\n")
    return bound


def _place(test: pytest.Item) -> str:
    file, line, _ = test.location
    return f"{file}:{(line or 0) + 1}"


def plain_id(nodeid: str) -> str:
    """Return a node id without the group added by pytest-xdist's loadgroup."""
    head, at, _ = nodeid.rpartition("@")
    return head if at and "::" in head else nodeid


def leave_for_controller(folder: Path, run: str, collected: Collected) -> None:
    """Write the list for the controller of this run; all workers write the same."""
    if _file(folder, run).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(_file(folder, run), json.dumps(dataclasses.asdict(collected)))


def take_from_workers(folder: Path, run: str) -> Collected | None:
    """Read and remove the workers' list; None when no worker finished collecting."""
    path = _file(folder, run)
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    path.unlink()
    return Collected(
        tuple(BoundTest(one["test"], tuple(one["items"])) for one in found["tests"]),
        tuple(found["elsewhere"]),
        tuple(found["disruptive"]),
        found["division"],
    )


def _file(folder: Path, run: str) -> Path:
    return folder / f".bound-{run}.json"
