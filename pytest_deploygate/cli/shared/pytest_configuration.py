"""Where pytest looks for tests: `testpaths` and `python_files` of its configuration, read without starting it."""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import iniconfig

from pytest_deploygate import startup
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.files import bounded
from pytest_deploygate.lazy import dataclass

_PYTHON_FILES = ("test_*.py", "*_test.py")
#: In pytest's order: the first file that configures it counts. `pytest.ini` counts even when it is empty.
_INI = (
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
)
#: Values of `-p` with which pytest-ansible and the plugin of testinfra are kept apart.
_APART = {"deploygate", "no:pytest-ansible", "no:pytest11.testinfra"}


@dataclass(frozen=True)
class Suites:
    """Folders (relative to the root, wildcards allowed) and patterns of test files; `markers` are those registered."""

    places: tuple[str, ...]
    patterns: tuple[str, ...] = _PYTHON_FILES
    markers: tuple[str, ...] = ()
    addopts: tuple[str, ...] = ()


def read(root: Path) -> Suites:
    """Read pytest's configuration below `root`. Raises Refused when it cannot be read."""
    told = _configuration(root)
    lines = told.get("markers", "")
    markers = lines.splitlines() if isinstance(lines, str) else [str(line) for line in lines]
    return Suites(
        places=_words(told.get("testpaths", "")),
        patterns=_words(told.get("python_files", "")) or _PYTHON_FILES,
        markers=tuple(m.partition(":")[0].partition("(")[0].strip() for m in markers if m.strip()),
        addopts=_words(told.get("addopts", "")),
    )


def clash(told: Suites) -> str:
    """Say that pytest may not start here, and why; empty if nothing speaks against it."""
    words = [*told.addopts, *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    given = {word.removeprefix("-p") for word in words}
    if not startup.first() or given & _APART:
        return ""
    return (
        "pytest may not start here: pytest-ansible and testinfra both have the option --ansible-inventory, and the "
        "order in which they are loaded decides; add `-p deploygate` to addopts in pytest's configuration"
    )


def file(root: Path) -> str:
    """Return the name of the file in a folder that configures pytest; empty if there is none."""
    names = ["pytest.toml", ".pytest.toml", *(name for name, _ in _INI[:2])]
    if found := next((name for name in names if _text(root / name) is not None), ""):
        return found
    if (root / "pyproject.toml").exists() and "pytest" in _table(_toml(root / "pyproject.toml"), "tool"):
        return "pyproject.toml"
    others = [(root / name, section) for name, section in _INI[2:]]
    return next((path.name for path, s in others if path.exists() and _ini(path, s) is not None), "")


def _configuration(root: Path) -> Mapping[str, Any]:
    for name in ("pytest.toml", ".pytest.toml"):
        if (root / name).exists():
            return _table(_toml(root / name), "pytest")
    for name, section in _INI[:2]:
        if (root / name).exists():
            return _ini(root / name, section) or {}
    if (root / "pyproject.toml").exists():
        tool = _table(_toml(root / "pyproject.toml"), "tool")
        if "pytest" in tool:
            table = _table(tool, "pytest")
            return _table(table, "ini_options") or table
    for name, section in _INI[2:]:
        if (root / name).exists() and (told := _ini(root / name, section)) is not None:
            return told
    return {}


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key, {})
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str | None:
    """Return the text of a file; None if it is not there. Raises Refused for what is no file, or cannot be read."""
    try:
        return bounded.text(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise Refused(f"{path}:{bounded.line_of(error)}: {error}") from None


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path) or "")
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path} cannot be read: {error}") from None


def _ini(path: Path, section: str) -> Mapping[str, Any] | None:
    try:
        found = iniconfig.IniConfig(str(path), data=_text(path) or "")
    except (ValueError, iniconfig.ParseError) as error:
        raise Refused(f"{path} cannot be read: {error}") from None
    return dict(found[section].items()) if section in found else None


def _words(value: object) -> tuple[str, ...]:
    return tuple(shlex.split(value)) if isinstance(value, str) else tuple(map(str, value))  # type: ignore[call-overload]
