"""Any combination of test folders and files works in one pytest call: no two modules have the same name."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
MODULES = sorted(TESTS.rglob("*.py"))


def imported_as(file: Path) -> str:
    """The first part of a module's dotted name: its outermost package, else its own name."""
    packages = [folder for folder in file.parents if (folder / "__init__.py").exists()]
    return packages[-1].name if packages else file.stem


def test_names_are_unique():
    """pytest puts each folder on `sys.path`, so the first of two modules with the same name would be used for both."""
    packages = {imported_as(file) for file in MODULES if (file.parent / "__init__.py").exists()}
    single = Counter(
        file.stem
        for file in MODULES
        if not (file.parent / "__init__.py").exists() and file.stem != "conftest"
    )
    assert [name for name, count in single.items() if count > 1 or name in packages] == []
    assert (set(single) | packages) & sys.stdlib_module_names == set()


def test_nobody_imports_a_conftest():
    """Each folder has its own, and the name refers to the one loaded last. Shared code belongs in a helper."""
    importing = re.compile(r"^\s*(?:from|import) (?:\w+\.)*conftest\b", re.MULTILINE)
    assert [file.name for file in MODULES if importing.search(file.read_text())] == []


@pytest.mark.parametrize(
    "places",
    [
        ("tests/plugin", "tests/judging", "tests/signoff/test_signoff_sign.py"),
        ("tests/signoff", "tests/plugin/test_plugin_exit_codes.py", "tests/checklist"),
        ("tests/report/test_exports.py", "tests/cli", "tests/checks/pooling", "tests/lab", "tests/faults"),
    ],
    ids=lambda places: places[0],
)
def test_folders_and_files_are_collected_together(places):
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *places]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for place in places:
        assert f"\n{place}" in f"\n{done.stdout}"
