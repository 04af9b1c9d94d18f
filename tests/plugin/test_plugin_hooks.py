"""Hooks take part in a run and in `decide` and `rollback`: each is called when its docstring says, and none makes anything good."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from test_plugin_incident import INVENTORY, SUITE, Ran, listening

from pytest_deploygate.cli import main

__all__ = ["listening"]


@pytest.fixture
def deployed(project, listening, monkeypatch):
    """Version 1 was measured before the change; version 2, which is red, is now deployed. All in this process."""
    monkeypatch.chdir(project.path)
    project.inventory(INVENTORY.format(port=listening.getsockname()[1], run="echo 1 > version"))
    project.suite(SUITE)
    (project.path / "version").write_text("1\n")
    project.run("-m", "golive", "--change=before")
    (project.path / "version").write_text("2\n")
    return project


def deploygate(_project, *arguments: str) -> Ran:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Ran(done.exit_code, done.output)


def state(project) -> str:
    return json.loads(deploygate(project, "decide", "--json").text)["incident"]["state"]


#: Each hook writes a line that shows how it was called.
CALLED = """
from pathlib import Path
LOG = Path(__file__).parent / "called"

def note(*words):
    with LOG.open("a") as log:
        print(*words, file=log)

def pytest_deploygate_notify(event, text):
    note("notify", event, text)

def pytest_deploygate_classify(finding):
    note("classify", finding.item)
    return f"see the runbook of {finding.item} <b>now</b>"

def pytest_deploygate_report_section():
    return "Flags", "new-checkout is on\\n\\nbeta is off"

def pytest_deploygate_post_rollback(verified, tasks):
    note("post_rollback", verified, len(tasks) > 0)
"""


def called(project) -> str:
    file = project.path / "called"
    return file.read_text() if file.exists() else ""


def red(project, conftest: str, *options: str) -> Ran:
    (project.path / "conftest.py").write_text(conftest)
    ran = project.run("-m", "golive", *options)
    return Ran(ran.code, ran.text)


def test_an_opened_incident_is_told_and_classified_once(deployed):
    assert red(deployed, CALLED).code == 22
    assert "notify opened local, incident-1: c.errors failed" in called(deployed)
    assert called(deployed).count("classify c.errors") == 1
    deployed.run("-m", "golive")
    assert called(deployed).count("opened") == called(deployed).count("classify") == 1
    page = (deployed.out / "signoff.html").read_text()
    for words in ("see the runbook of c.errors &lt;b&gt;now", "<h2>Flags</h2>", "beta is off"):
        assert words in page


def test_a_whole_way_back_is_told(deployed):
    """Decided, begun, ended: each at least once; `post_rollback` gets the remaining tasks."""
    red(deployed, CALLED)
    deploygate(deployed, "decide", "rollback", "--role", "deployment-lead", "--reason", "errors for all")
    assert deploygate(deployed, "rollback", "execute", "--confirm", "prod").code == 23
    for words in (
        "notify decided",
        "notify rollback begun",
        "notify rollback ended",
        "post_rollback True True",
    ):
        assert words in called(deployed)


@pytest.mark.parametrize(
    ("answer", "then", "said"),
    [
        ("'HOLD'", "assessing", "answered HOLD to ROLLBACK, which is refused"),
        ("'GO'", "assessing", "answered GO to ROLLBACK, which is refused"),
        ("'rollback'", "rolling back", ""),
        ("'perhaps'", "assessing", "which is not one of GO, HOLD, ROLLBACK"),
        ("1 / 0", "assessing", "ZeroDivisionError"),
        ("None", "assessing", ""),
    ],
)
def test_a_hook_decides_as_strictly_as_the_rules_or_not_at_all(deployed, answer, then, said):
    ran = red(deployed, f"def pytest_deploygate_decide(decision):\n    return {answer}\n")
    assert (ran.code, state(deployed)) == (22, then)
    assert said in ran.text
    journal = [json.loads(line) for line in (deployed.out / "journal.jsonl").read_text().splitlines()]
    kept = [entry["what"] for entry in journal if entry["kind"] == "hook"]
    assert bool(kept) == bool(said), "an error is in the journal, too"
    if then == "rolling back":
        event = next(entry for entry in journal if entry["kind"] == "incident" and entry["what"] == "decided")
        assert (event["by"], event["outcome"]) == ("hook", "ROLLBACK")


RAISES = """
def pytest_deploygate_{name}({arguments}):
    raise RuntimeError("no route to host")
"""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("classify", "finding"), ("notify", "event, text"), ("report_section", ""), ("decide", "decision")],
)
def test_a_hook_that_raises_is_said_and_changes_nothing(deployed, name, arguments):
    ran = red(deployed, RAISES.format(name=name, arguments=arguments))
    assert ran.code == 22
    assert f"hook pytest_deploygate_{name}: RuntimeError: no route to host" in ran.text
    assert "no verdict or decision improves because of it" in ran.text
    assert state(deployed) == "assessing"
    assert "no route to host" in (deployed.out / "signoff.html").read_text()


def test_an_invalid_section_is_rejected_and_reported(deployed):
    ran = red(deployed, "def pytest_deploygate_report_section():\n    return 'only a text'\n")
    assert "which is not a title and text" in ran.text


def test_a_rollback_that_a_run_executes_asks_the_hooks_of_the_run(deployed):
    ran = red(deployed, CALLED, "--rollback=execute")
    assert ran.code == 23, ran.text
    assert "post_rollback True True" in called(deployed)


def test_a_run_that_may_execute_does_not_go_back_over_a_person_who_holds(deployed):
    red(deployed, "")
    deploygate(deployed, "decide", "hold", "--role", "deployment-lead", "--reason", "the cache is cold")
    ran = deployed.run("-m", "golive", "--rollback=execute")
    assert ran.code == 22
    assert "deployment-lead) decided to hold: the cache is cold" in " ".join(ran.text.split())
    assert (deployed.path / "version").read_text() == "2\n"
