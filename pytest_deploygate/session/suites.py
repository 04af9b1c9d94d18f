"""The bound tests that a run should have: the repository's own and the shipped ones that its checklist asks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from pytest_deploygate.session import declared, shipped
from pytest_deploygate.session.declared import Function


def functions(root: Path, places: Sequence[str], patterns: Sequence[str]) -> list[Function]:
    """Return all bound test functions: those of the files below `root` that pytest would collect, and the shipped ones."""
    own = declared.functions_below(root, places, patterns)
    return list({function.test: function for function in (*shipped.functions(), *own)}.values())


def functions_of(config: pytest.Config, known: Collection[str] | None = None) -> list[Function]:
    """Return the bound test functions of a pytest run; `known` are the items of its checklist (None: all count)."""
    found = functions(config.rootpath, config.getini("testpaths") or [], config.getini("python_files"))
    return found if known is None else shipped.asked_for(found, known)


def items_by_test(found: Sequence[Function]) -> dict[str, tuple[str, ...]]:
    """Return item ids by test function, such as `pytest_deploygate/suites/test_structure.py::test_table_structure`."""
    return {function.test: function.items for function in found}
