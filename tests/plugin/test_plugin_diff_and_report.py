"""Output of `deploygate diff` and `deploygate report` for real journals, and the report of changes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from project import GOOD, Project

from pytest_deploygate.cli import main

BAD = GOOD.replace("says(gate)", 'says(gate, "fail", "one behind", 7)', 1)


@pytest.fixture
def two(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two changes: one good, one with a failed migration; the second one was good in its first run."""
    project.inventory("name: prod\ncontacts: [{role: deployment-lead, phone: '+49301234567'}]\n")
    for change, suite in (("one", GOOD), ("two", GOOD), ("two", BAD)):
        project.suite(suite)
        project.run_process("-m", "phase2", "--change", change)
    monkeypatch.chdir(project.path)
    return project


def test_diff_report_and_exports_of_real_runs(two: Project) -> None:
    done = CliRunner().invoke(main, ["diff", "one", "two", "--json", "--exit-code"])
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["compared"] == 3
    kinds = {change["kind"]: change["text"] for change in found["changes"]}
    assert kinds["failing"] == "b.migrations: pass before, fail now: one behind"
    assert "n went from 1 to 7 (+600%); stated bound of 20%: 2 earlier values are too few" in kinds["moved"]
    same = CliRunner().invoke(main, ["diff", "deploygate-out/one", "one", "--exit-code"])
    assert (same.exit_code, "Nothing changed" in same.stdout) == (0, True)
    lost = CliRunner().invoke(main, ["diff", "one", "tow"])
    assert lost.exit_code == 4
    assert "two" in lost.output

    folder = two.path / "deploygate-out" / "two"
    page = (folder / "signoff.html").read_text(encoding="utf-8")
    assert "Newly failing (1)" in page
    assert "+49301234567" in page
    assert "clock" in page
    (folder / "signoff.html").unlink()
    assert CliRunner().invoke(main, ["report", "--change", "two"]).exit_code == 0
    assert (folder / "signoff.html").read_text(encoding="utf-8") == page

    said = CliRunner().invoke(main, ["report", "--change", "two", "--format", "markdown"])
    assert said.stdout.startswith("## HOLD: Do not proceed.")
    done = CliRunner().invoke(main, ["report", "--change", "two", "--format", "sarif", "--output", "x.sarif"])
    assert done.exit_code == 0
    assert json.loads((two.path / "x.sarif").read_text())["version"] == "2.1.0"
    assert CliRunner().invoke(main, ["report", "--change", "two", "--output", "x"]).exit_code == 2
