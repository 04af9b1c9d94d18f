"""Annotations of a run point at the inventory: at a target's entry, or at the section that has the limits."""

from __future__ import annotations

import dataclasses
import json
import subprocess

from project import Project

from pytest_deploygate.inventory.loader import load
from pytest_deploygate.inventory.located import lines
from pytest_deploygate.journal import read
from pytest_deploygate.report import from_journal
from pytest_deploygate.report.exports import github, gitlab, sarif

INVENTORY = """\
name: prod
load:
  target: {host: a.example.com}
  endpoints:
  - {path: /slow}
  - name: start page
    path: /
  peak_per_second: 100
"""
SUITE = """
@pytest.mark.item("b.tables")
@pytest.mark.parametrize("name", ["start page", "GET /slow", "elsewhere"])
def test_table(gate, load, name):
    says(gate, "fail", "off")

@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate, "fail", "no limit of the inventory")
"""


def test_lines_of_entries_and_sections(tmp_path):
    (tmp_path / "prod.yml").write_text(
        "name: prod\nload:\n  target: {host: a.example.com}\n  peak_per_second: 1\n  endpoints:\n  - {path: /a}\n"
    )
    loaded = load(str(tmp_path / "prod.yml"), tmp_path)
    found = lines(loaded, tmp_path, [("crit.p50", ("gate", "load")), ("b.other", ("gate",))])
    assert found["file"] == "prod.yml"
    assert found["names"] | {"a.example.com": 3, "/a": 6} == found["names"]
    assert found["items"] == {"crit.p50": 2}
    assert lines(loaded, tmp_path / "elsewhere", []) == {}


def test_a_finding_points_at_its_entry_else_at_its_section_else_at_the_checklist(project: Project):
    project.inventory(INVENTORY)
    project.suite(SUITE)
    project.run("-m", "phase2")
    record = from_journal.build(read(project.path / "deploygate-out" / "local")[0])
    at = {
        (place["check_name"], place["description"].split(":")[0].partition("[")[2].rstrip("]")): place[
            "location"
        ]
        for place in json.loads(gitlab.text(record))
    }
    mine = {key: (one["path"], one["lines"]["begin"]) for key, one in at.items()}
    assert mine["b.tables", "start page"] == ("inventories/prod.yml", 6)
    assert mine["b.tables", "GET /slow"] == ("inventories/prod.yml", 5)
    assert mine["b.tables", "elsewhere"] == ("inventories/prod.yml", 2)
    assert mine["b.migrations", ""][0] == "suites/checklist.md"
    assert "::error file=inventories/prod.yml,line=5,title=b.tables::" in github.text(record)
    assert github.text(record).startswith(
        "::error file=suites/checklist.md,line=1,title=deploygate.decision::"
    )
    uris = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in json.loads(sarif.text(record))["runs"][0]["results"]
    }
    assert uris == {"inventories/prod.yml", "suites/checklist.md"}


def test_a_project_below_the_top_of_a_repository_is_seen_from_there(pytester):
    """A CI looks for the files of annotations from the top of the repository, wherever pytest ran."""
    subprocess.run(["git", "init", "--quiet", pytester.path], check=True)
    project = Project(pytester.mkdir("shop"), pytester)
    project.inventory(INVENTORY)
    project.suite(SUITE)
    project.run_process("-m", "phase2")
    record = from_journal.build(read(project.out)[0])
    assert "::error file=shop/inventories/prod.yml,line=5,title=b.tables::" in github.text(record)
    assert {place["location"]["path"] for place in json.loads(gitlab.text(record))} == {
        "shop/inventories/prod.yml",
        "shop/suites/checklist.md",
    }
    forged = dataclasses.replace(record, lines=dataclasses.replace(record.lines, below="../../"))
    assert "::error file=inventories/prod.yml,line=5" in github.text(forged)
