"""The bound tests that a run should have: the repository's own and the shipped ones that its checklist needs."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.session import declared, imported, shipped
from pytest_deploygate.session.asking import Asking
from pytest_deploygate.session.declared import Function, TestFile

#: The stash key of a run's test files, read once.
_FILES = pytest.StashKey[list[TestFile]]()


def functions(root: Path, places: Sequence[str], patterns: Sequence[str]) -> list[Function]:
    """Return all bound test functions: those of the files below `root` that pytest would collect, and the shipped ones."""
    return _functions((*shipped.files(), *_own(root, places, patterns)))


def functions_of(config: pytest.Config, asking: Asking | None = None) -> list[Function]:
    """Return the bound test functions of a pytest run with the items that its checklist asks about (None: all)."""
    found = _functions(_files_of(config))
    return found if asking is None else asking.functions(found)


def items_by_test(found: Sequence[Function]) -> dict[str, tuple[str, ...]]:
    """Return item ids by test function, such as `pytest_deploygate/suites/test_structure.py::test_table_structure`."""
    return {function.test: function.items for function in found}


def sources_of(config: pytest.Config) -> dict[str, str]:
    """Return a digest for each test file of the repository, and one for the shipped suites.

    That of a test file covers its `conftest.py` files and the repository's modules that these files import. The keys are how the node ids of their tests begin.
    """
    found: dict[str, str] = {}
    ours = []
    for test_file in _files_of(config):
        if shipped.is_suite(test_file.file):
            ours.append(test_file.sha256)
        elif test_file.functions:
            name = test_file.file.relative_to(config.rootpath).as_posix()
            conftests = list(_conftests(test_file.file, config.rootpath))
            parts = [test_file.sha256, *(sha256(conftest.read_bytes()) for conftest in conftests)]
            parts += imported.digests([test_file.file, *conftests], config.rootpath)
            found[name] = sha256("".join(parts).encode())
    return {shipped.NODES: sha256("".join(ours).encode()), **found}


def _conftests(file: Path, root: Path) -> Iterator[Path]:
    """Yield the `conftest.py` files that a test file sees."""
    for folder in file.parents:
        if (conftest := folder / "conftest.py").is_file():
            yield conftest
        if folder == root:
            return


def unread(config: pytest.Config, collected: Collection[Path]) -> Iterator[str]:
    """Yield a sentence for each test file that was not collected and whose items cannot be read from its source."""
    for test_file in _files_of(config):
        if test_file.unnamed and test_file.file not in collected:
            shown = test_file.file.relative_to(config.rootpath).as_posix()
            yield (
                f"{shown}:{test_file.unnamed}: which items its tests decide cannot be read from the source, and the file "
                "was not collected; write the id as text, or run without naming paths"
            )


def idle_files(config: pytest.Config, asking: Asking, wanted: Collection[str]) -> set[Path]:
    """Return the repository's own test files that need not be imported: only bound tests, none of an item in `wanted`.

    A file that names an unknown item is a mistake, which `bound.bind` reports.
    """
    if any(config.getini(name) != [start] for name, start in _PREFIXES.items()):
        return set()  # with other naming patterns, further functions and classes may be tests
    found = set()
    for test_file in _files_of(config):
        checks = {check for function in test_file.functions for check in function.items}
        idle = test_file.only_bound and all(map(asking.knows, checks))
        if checks and idle and not set(asking.all_items(checks)) & set(wanted):
            found.add(test_file.file)
    return found


_PREFIXES = {"python_functions": "test", "python_classes": "Test"}


def _files_of(config: pytest.Config) -> list[TestFile]:
    if _FILES not in config.stash:
        own = _own(config.rootpath, _places(config), _patterns(config), config.getini("norecursedirs"))
        config.stash[_FILES] = [*shipped.files(), *own]
    return config.stash[_FILES]


#: Folders that pytest does not enter, unless its configuration says otherwise.
_NOT_ENTERED = ("*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}")
#: Patterns of pytest's own, which `-o python_files=…` on a command line must not narrow.
_USUAL = ("test_*.py", "*_test.py")


def _places(config: pytest.Config) -> Sequence[str]:
    """Return `testpaths`; nothing where the command line names others: it must not narrow what should have run."""
    return [] if _overrides(config, "testpaths") else list(config.getini("testpaths") or [])


def _patterns(config: pytest.Config) -> Sequence[str]:
    given = list(config.getini("python_files"))
    return [*given, *_USUAL] if _overrides(config, "python_files") else given


def _overrides(config: pytest.Config, name: str) -> bool:
    return any(str(one).partition("=")[0].strip() == name for one in config.option.override_ini or ())


def _own(
    root: Path, places: Sequence[str], patterns: Sequence[str], skipped: Sequence[str] = _NOT_ENTERED
) -> Iterator[TestFile]:
    """Yield the repository's test files; without `testpaths` those below `root` that name an item.

    `skipped` are patterns of folders that pytest does not enter.
    """
    below = declared.files_below(root, places, patterns) if places else _everywhere(root, patterns, skipped)
    for file in below:
        if not shipped.is_suite(file):
            yield declared.read(file, file.relative_to(root).as_posix())


def _everywhere(root: Path, patterns: Sequence[str], skipped: Sequence[str]) -> Iterator[Path]:
    """Yield the test files below a folder that bind a test to an item: it may be a large repository."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not any(fnmatch(name, pattern) for pattern in skipped)
            and not Path(folder, name, "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            file = Path(folder, name)
            if any(fnmatch(name, pattern) for pattern in patterns) and _names_an_item(file):
                yield file


def _names_an_item(file: Path) -> bool:
    try:
        return b"mark.item" in bounded.read(file, bounded.MADE)
    except OSError:
        return False


def _functions(files: Sequence[TestFile]) -> list[Function]:
    return list({function.test: function for file in files for function in file.functions}.values())
