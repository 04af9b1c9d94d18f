"""`deploygate plan`: what a run would do, from files alone."""

from __future__ import annotations

import json
import subprocess

import pytest
from click.testing import CliRunner
from small_repository import files, run

from pytest_deploygate.cli import main
from pytest_deploygate.session import shipped

WAIVE = {
    "--owner": "Database admin", "--approver": "Operations", "--ticket": "OPS-17", "--expires": "7d",
    "--reason": "the pooler is replaced next week",
}  # fmt: skip
SUITE = """\
import pytest

@pytest.mark.item("db.pooling")
def test_pooling(gate): ...

@pytest.mark.item("db.restore")
@pytest.mark.disruptive(otherwise="the record of the last drill is judged")
def test_restore(gate): ...
"""


@pytest.fixture
def planned(root):
    """The suite has two tests; the other items have none."""
    (root / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    (root / "suites" / "test_suite.py").write_text(SUITE)
    return root


def plan(*words):
    done = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["plan", "--inventory", "prod", *words])
    return done.exit_code, done.output


def test_where_pytest_may_not_start_it_is_said(planned, tmp_path, monkeypatch):
    beside = tmp_path / "beside"
    (beside / "pytest_ansible").mkdir(parents=True)
    (beside / "pytest_ansible" / "__init__.py").touch()
    said = "add `-p deploygate` to addopts"
    assert said not in " ".join(plan()[1].split())
    monkeypatch.syspath_prepend(beside)
    assert said in " ".join(plan()[1].split())
    for words in ("-p deploygate", "-pdeploygate", "-p no:pytest-ansible"):
        (planned / "pytest.ini").write_text(f"[pytest]\ntestpaths = suites\naddopts = {words}\n")
        assert said not in " ".join(plan()[1].split()), words


def items(*words):
    code, text = plan("--json", *words)
    assert code == 0, text
    return {item["id"]: item for phase in json.loads(text)["phases"] for item in phase["items"]}


def test_what_runs_what_is_disruptive_and_what_is_missing(planned):
    found = items()
    names = [test["test"] for test in found["db.pooling"]["tests"]]
    assert [name for name in names if name.startswith("suites/")] == ["suites/test_suite.py::test_pooling"]
    assert "pytest_deploygate/suites/test_pooling.py::test_pooler_works" in names
    assert found["db.restore"]["disruptive"]
    assert found["sec.audit"]["attest"]["roles"] == ["security-lead"]
    assert found["sec.audit"]["missing"]
    code, text = plan()
    assert code == 0
    assert "Nothing was run and nothing was connected to." in text
    assert "db.restore    machine   2 tests, 1 disruptive" in text
    assert "test_restore disruptive" in plan("--long")[1]
    assert "--allow-disruptive=production" in text
    assert "6 items: 3 automated, 1 hybrid, 2 manual; 2 tests to run." in text
    assert max(map(len, text.splitlines())) <= 80
    assert files(planned, "deploygate-out") == []


def test_only_what_is_in_scope(planned):
    assert items("-m", "phase1").keys() == {"phase1.logs", "phase1.issues"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-m", "phase11"), "phase11"),
        (("-m", "phase1 and"), "-m 'phase1 and': expected"),
        (("--inventory", "prd"), "did you mean 'prod'"),
        (("--checklist", "none.md"), "none.md"),
    ],
)
def test_mistakes_are_exit_4(planned, words, says):
    code, text = plan(*words)
    assert (code, says in text) == (4, True), text


def test_not_applicable_must_name_an_item_of_the_checklist(planned):
    entry = "not_applicable: [{item: db.poling, reason: there is no pooler here, owner: technical-lead}]\n"
    (planned / "inventories" / "prod.yml").write_text(f"name: production\n{entry}")
    code, text = plan()
    assert (code, "no item 'db.poling'" in text) == (4, True), text


def test_an_item_is_a_line_and_what_several_lack_is_listed_once(planned):
    (planned / "suites" / "checklist.md").write_text(shipped.checklist().read_text())
    code, text = plan()
    assert code == 0
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 500
    assert text.count("the inventory has no backup;") == 1
    number = next(line.split()[0] for line in lines if "the inventory has no backup;" in line)
    assert any(line.startswith("day.final-backup ") and f"! {number}" in line for line in lines)
    assert len(plan("--long")[1].splitlines()) > len(lines)


def test_a_mistake_in_a_file_begins_on_the_line_of_its_error(planned):
    (planned / "inventories" / "prod.yml").write_text("name: production\nbogus: 1\n")
    code, text = plan()
    assert code == 4
    assert text.startswith("Error: inventories/prod.yml:2: bogus: ")
    assert "\n\n" not in text.rstrip("\n")


def test_a_record_that_nobody_committed_is_named_and_does_not_count(planned):
    run("waive", "db.pooling", WAIVE)
    assert items()["db.pooling"]["waived"]
    subprocess.run(["git", "init", "-q", "."], check=True)
    code, text = plan()
    assert code == 0
    assert "does not count: uncommitted: this repository has no commit yet" in " ".join(text.split())
    assert not items()["db.pooling"]["waived"]


def test_what_is_decided_when_the_run_closes_lacks_no_check(root):
    """The issue log and the signatures decide these items; no test is ever bound to them."""
    (root / "suites" / "checklist.md").write_text(shipped.checklist().read_text())
    found = items()
    closed = ["phase1.issues", "golive.issues", "stab.issues", "hand.sign-off"]
    assert not [item for item in closed if any("no check" in words for words in found[item]["missing"])]
    _, text = plan()
    assert "by the signatures" in text
    assert "by the issue log" in text


def test_a_snapshot_that_is_not_written_yet_is_listed_once_with_its_step(planned):
    (planned / "inventories" / "prod.yml").write_text(
        "name: production\ndatabase: {name: shop, user: gate, primary: db1, tables: {snapshot: none.tables.json}}\n"
    )
    (planned / "suites" / "checklist.md").write_text(shipped.checklist().read_text())
    _, said = plan("-m", "phase2")
    assert "".join(said.split()).count("none.tables.json") == 1
    assert "write it with `deploygate snapshot`" in " ".join(said.split())
