"""Which cases are tried each time: those that `tried_each_time.toml` names, by functions that exist."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from long_ones import TRIED, mark_long

ROOT = Path(__file__).parent.parent
LISTED = tomllib.loads((ROOT / TRIED).read_text())


@pytest.mark.parametrize("file", LISTED)
def test_each_listed_test_exists(file: str) -> None:
    """A function that was renamed would be tried with all its cases again."""
    defined = {
        node.name
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert LISTED[file].keys() <= defined


class _Case:
    def __init__(self, nodeid: str, *markers: str) -> None:
        self.nodeid, self.markers = nodeid, list(markers)

    def get_closest_marker(self, name: str) -> object:
        return SimpleNamespace() if name in self.markers else None

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.markers.append(mark.name)


def _kept(tmp_path: Path, listed: str, cases: list[Any]) -> list[str]:
    (tmp_path / "tests").mkdir()
    (tmp_path / TRIED).write_text(listed)
    mark_long(cases, tmp_path)
    return [case.nodeid for case in cases if "long" not in case.markers]


def test_cases_are_spread(tmp_path: Path) -> None:
    cases = [_Case(f"tests/test_a.py::test_b[{n}]") for n in range(9)]
    listed = '["tests/test_a.py"]\ntest_b = 3\n'
    assert _kept(tmp_path, listed, cases) == [f"tests/test_a.py::test_b[{n}]" for n in (0, 3, 6)]


def test_none_and_more_than_there_are(tmp_path: Path) -> None:
    cases = [
        _Case("tests/test_a.py::test_none"),
        _Case("tests/test_a.py::test_all[1]"),
        _Case("tests/test_a.py::test_free"),
    ]
    listed = '["tests/test_a.py"]\ntest_none = 0\ntest_all = 4\n'
    assert _kept(tmp_path, listed, cases) == ["tests/test_a.py::test_all[1]", "tests/test_a.py::test_free"]


def test_what_is_long_anyway_does_not_count(tmp_path: Path) -> None:
    cases = [_Case(f"tests/test_a.py::test_b[{n}]", *(["long"] if n < 2 else [])) for n in range(4)]
    assert _kept(tmp_path, '["tests/test_a.py"]\ntest_b = 1\n', cases) == ["tests/test_a.py::test_b[2]"]
