"""The shipped suites: which of their tests a checklist needs, and collecting them.

They are collected from the package, in addition to a repository's own tests, so that an upgrade brings new checks to
everybody. A file without an item in scope is not imported.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_deploygate import model, suites
from pytest_deploygate.checklist import markdown, parser
from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.files import compiled
from pytest_deploygate.session import declared
from pytest_deploygate.session.declared import Function, TestFile

#: The prefix of the suites' node ids, wherever the package is installed.
NODES = f"{suites.__name__.replace('.', '/')}/"


def checklist() -> Path:
    """Return the shipped checklist."""
    return next(file for folder in _folders() if (file := folder / "checklist.md").is_file())


def parsed() -> Checklist:
    """Return the shipped checklist, parsed."""
    file = checklist()
    read_by = [Path(module.__file__ or "") for module in (parser, markdown, model)]
    return compiled.kept("checklist", (*read_by, file), lambda: parser.load(file))


def files() -> list[TestFile]:
    """Return the files of the suites, sorted by name."""
    paths = _paths()
    read_by = (Path(declared.__file__), *paths.values())
    return compiled.kept(
        "suites", read_by, lambda: [declared.read(path, name) for name, path in paths.items()]
    )


def functions() -> Iterator[Function]:
    """Yield the bound test functions of the suites."""
    for file in files():
        yield from file.functions


def checks(ours: Checklist, found: Sequence[Function]) -> set[str]:
    """Return the ids that can be borrowed and left out: those of the shipped checklist `ours` and of shipped tests."""
    tested = {item for function in found if function.test.startswith(NODES) for item in function.items}
    return tested | {item.id for item in ours.items}


def collect(
    session: pytest.Session, found: Sequence[Function], wanted: Collection[str]
) -> Iterator[pytest.Item]:
    """Collect the files of suites that have a test of an item in `wanted`; `found` are the tests of the run."""
    known = _paths()
    names = {f.test.partition("::")[0] for f in found if set(f.items) & set(wanted)}
    for name in sorted(names & set(known)):
        module: pytest.Module = pytest.Module.from_parent(session, path=known[name], nodeid=name)
        yield from session.genitems(module)


def is_suite(path: Path) -> bool:
    """Return whether a file or folder is within the suites."""
    return _is_within(path, tuple(suites.__path__))


@functools.cache  # asked for each test of a file
def _is_within(path: Path, folders: tuple[str, ...]) -> bool:
    return any(path == Path(folder) or Path(folder) in path.parents for folder in folders)


def _paths() -> dict[str, Path]:
    """Return the files of the suites by the prefix of their node ids."""
    found = (file for folder in _folders() for file in folder.glob("test_*.py"))
    return {NODES + file.name: file for file in sorted(found, key=lambda file: file.name)}


def _folders() -> list[Path]:
    """Return the folders of the package `suites`: its `__path__`, which Python itself searches for modules."""
    return [Path(folder) for folder in suites.__path__]
