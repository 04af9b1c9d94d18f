"""The suites that come with the product: which of their tests a checklist asks for, and collecting them.

They are collected beside a repository's own tests, from the package, so that new checks reach everybody with an
upgrade. A file none of whose items is asked for is not imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from importlib import resources
from pathlib import Path

import pytest

from pytest_deploygate.session import declared
from pytest_deploygate.session.declared import Function, TestFile

_PACKAGE = Path(str(resources.files("pytest_deploygate")))
#: The folder of the suites, and how their node ids begin wherever the package is installed.
SUITES = _PACKAGE / "suites"
NODES = f"{_PACKAGE.name}/{SUITES.name}/"


def checklist() -> Path:
    """Return the checklist that comes with the product."""
    return SUITES / "checklist.md"


def files() -> Iterator[TestFile]:
    """Yield the files of the suites."""
    for file in sorted(SUITES.glob("test_*.py")):
        yield declared.read(file, NODES + file.name)


def functions() -> Iterator[Function]:
    """Yield the bound test functions of the suites."""
    for file in files():
        yield from file.functions


def asked_for(found: Sequence[Function], known: Collection[str]) -> list[Function]:
    """Leave out shipped tests whose items a checklist does not have: a team's checklist may do without them."""
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
    names = {f.test.partition("::")[0] for f in found if set(f.items) & set(wanted)}
    for name in sorted(name for name in names if name.startswith(NODES)):
        module: pytest.Module = pytest.Module.from_parent(
            session, path=SUITES / name.removeprefix(NODES), nodeid=name
        )
        yield from session.genitems(module)


def keep_bound(item: pytest.Item, known: Collection[str]) -> bool:
    """Take items that the checklist does not have from a shipped test's markers; tell whether any item is left.

    A test of the repository's own that names an unknown item is a mistake, which `bound.bind` reports.
    """
    if not item.nodeid.startswith(NODES):
        return True
    kept = [mark for mark in item.own_markers if mark.name != "item"]
    ids = [str(a) for mark in item.own_markers if mark.name == "item" for a in mark.args if a in known]
    item.own_markers[:] = [*kept, pytest.mark.item(*ids).mark] if ids else kept
    return bool(ids)


def is_suite(path: Path) -> bool:
    """Tell whether a file or folder is within the suites."""
    return path == SUITES or SUITES in path.parents
