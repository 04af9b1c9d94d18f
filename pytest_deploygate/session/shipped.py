"""The shipped suites: which of their tests a checklist needs, and collecting them.

They are collected from the package, in addition to a repository's own tests, so that an upgrade brings new checks to
everybody. A file without an item in scope is not imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_deploygate import suites
from pytest_deploygate.session import declared
from pytest_deploygate.session.declared import Function, TestFile

#: The prefix of the suites' node ids, wherever the package is installed.
NODES = f"{suites.__name__.replace('.', '/')}/"


def checklist() -> Path:
    """Return the shipped checklist."""
    return next(file for folder in _folders() if (file := folder / "checklist.md").is_file())


def files() -> Iterator[TestFile]:
    """Yield the files of the suites, sorted by name."""
    for name, path in _paths().items():
        yield declared.read(path, name)


def functions() -> Iterator[Function]:
    """Yield the bound test functions of the suites."""
    for file in files():
        yield from file.functions


def asked_for(found: Sequence[Function], known: Collection[str]) -> list[Function]:
    """Leave out shipped tests whose items a checklist does not have: a team's checklist may omit them."""
    left = []
    for function in found:
        if not function.test.startswith(NODES):
            left.append(function)
        elif items := tuple(item for item in function.items if item in known):
            left.append(dataclasses.replace(function, items=items))
    return left


def collect(
    session: pytest.Session, found: Sequence[Function], wanted: Collection[str]
) -> Iterator[pytest.Item]:
    """Collect the files of suites that have a test of an item in `wanted`; `found` are the tests of the run."""
    known = _paths()
    names = {f.test.partition("::")[0] for f in found if set(f.items) & set(wanted)}
    for name in sorted(names & set(known)):
        module: pytest.Module = pytest.Module.from_parent(session, path=known[name], nodeid=name)
        yield from session.genitems(module)


def keep_bound(item: pytest.Item, known: Collection[str]) -> bool:
    """Remove items that the checklist does not have from a shipped test's markers; return whether any item is left.

    A test of the repository's own that names an unknown item is a mistake, which `bound.bind` reports.
    """
    if not item.nodeid.startswith(NODES):
        return True
    kept = [mark for mark in item.own_markers if mark.name != "item"]
    ids = [str(a) for mark in item.own_markers if mark.name == "item" for a in mark.args if a in known]
    item.own_markers[:] = [*kept, pytest.mark.item(*ids).mark] if ids else kept
    return bool(ids)


def is_suite(path: Path) -> bool:
    """Return whether a file or folder is within the suites."""
    return any(path == folder or folder in path.parents for folder in _folders())


def _paths() -> dict[str, Path]:
    """Return the files of the suites by the prefix of their node ids."""
    found = (file for folder in _folders() for file in folder.glob("test_*.py"))
    return {NODES + file.name: file for file in sorted(found, key=lambda file: file.name)}


def _folders() -> list[Path]:
    """Return the folders of the package `suites`: its `__path__`, which Python itself searches for modules."""
    return [Path(folder) for folder in suites.__path__]
