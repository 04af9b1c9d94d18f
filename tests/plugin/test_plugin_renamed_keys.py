"""An old key of the inventory is shown before a run and in a plan, with file, line and the new key."""

from __future__ import annotations

import json

from click.testing import CliRunner
from project import GOOD, Project

from pytest_deploygate.cli import main

OLD = "name: prod\ntls:\n  trust: ca.pem\n"
NOTE = (
    "inventories/prod.yml:3: tls.trust: this key was renamed to `ca_file`; the old name is accepted in this"
    " version only"
)


def test_the_header_of_a_run_names_old_keys(project: Project) -> None:
    project.suite(GOOD)
    project.inventory(OLD)
    ran = project.run("-m", "phase2")
    assert f"inventory: {NOTE}" in ran.text
    project.inventory(OLD.replace("trust", "ca_file"))
    assert "inventory: " not in project.run("-m", "phase2").text.replace("deploygate: inventory ", "")


def test_a_plan_names_old_keys(project: Project, monkeypatch) -> None:
    project.suite(GOOD)
    project.inventory(OLD)
    monkeypatch.chdir(project.path)
    told = CliRunner().invoke(main, ["plan", "--inventory", "prod"])
    assert told.exit_code == 0, told.output
    assert "Notes about the inventory (1):" in told.output
    assert NOTE in " ".join(told.output.split())
    as_json = CliRunner().invoke(main, ["plan", "--inventory", "prod", "--json"])
    assert json.loads(as_json.output)["inventory_notes"] == [NOTE]
