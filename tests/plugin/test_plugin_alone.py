"""A test marked `alone` runs alone, under pytest-xdist too."""

from __future__ import annotations

import pytest
from project import Project

SUITE = """
from pathlib import Path

HERE = Path(__file__).parents[1]

def others():
    return [file.name for file in HERE.glob("running-*")]

@pytest.mark.item("b.migrations")
{marker}
def test_load(gate):
    seen, until = [], time.monotonic() + 1.5
    while not seen and time.monotonic() < until:
        seen = others()
        time.sleep(0.01)
    says(gate, "fail" if seen else "pass", f"beside it ran {{seen}}")

@pytest.mark.item("b.tables", "b.notes")
@pytest.mark.parametrize("number", range(6))
def test_other(gate, number):
    file = HERE / f"running-{{number}}"
    file.touch()
    time.sleep(0.2)
    file.unlink()
    says(gate)
"""


@pytest.mark.parametrize(("marker", "verdict"), [("@pytest.mark.alone", "pass"), ("", "fail")])
def test_nothing_runs_beside_it(project: Project, marker: str, verdict: str) -> None:
    """Two workers: with the marker the other one runs nothing meanwhile, without it, it does."""
    project.suite(SUITE.format(marker=marker))
    ran = project.run_process("-m", "phase2", "-n", "2")
    assert project.verdict("b.migrations") == verdict, ran.text
    assert project.verdict("b.tables") == "pass"
