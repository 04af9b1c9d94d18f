"""`deploygate outcome`: the exit status of a run from its journal, whatever the process ended with."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from aged import rewrite
from project import GOOD, Project
from test_plugin_incident import Ran, deploygate

from pytest_deploygate import journal


def outcome(project: Project, *words: str) -> Ran:
    return deploygate(project, "outcome", *words)


RED = GOOD + "\n@pytest.mark.item('b.tables')\ndef test_red(gate):\n    says(gate, 'fail', 'it is red')\n"
#: What something in the process does to end it with 0, and the exit code that the journal has.
FORGED = {
    "a test ends the process": ("suite", RED + "\ndef test_zz():\n    pass\n", "os._exit(0)", 25),
    "pytest.exit with 0": ("suite", RED, "pytest.exit('enough', 0)", 25),
    "the status is set": (
        "conftest",
        RED,
        "@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish(session):\n    session.exitstatus = 0\n",
        1,
    ),
    "the process ends at unconfigure": ("conftest", RED, "def pytest_unconfigure():\n    os._exit(0)\n", 1),
    "the process ends before the run": ("conftest", RED, "os._exit(0)\n", 25),
    "the process ends at the session's start": (
        "conftest",
        RED,
        "def pytest_sessionstart():\n    os._exit(0)\n",
        25,
    ),
    "the process ends before the decision": (
        "conftest",
        RED,
        "@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef pytest_sessionfinish():\n    os._exit(0)\n    yield\n",
        25,
    ),
    "the rules are replaced": (
        "conftest",
        RED,
        "from dataclasses import replace\nfrom pytest_deploygate.decision import rules\n"
        "from pytest_deploygate.model import Outcome\nold = rules.decide\n"
        "rules.decide = lambda q: replace(old(q), outcome=Outcome.GO, exit_code=0)\n",
        1,
    ),
}


@pytest.mark.parametrize(("where", "suite", "body", "code"), FORGED.values(), ids=FORGED)
def test_a_forged_exit_status_is_not_believed(
    project: Project, where: str, suite: str, body: str, code: int
) -> None:
    if where == "suite":
        suite += f"\n@pytest.mark.item('b.notes')\ndef test_forger(gate):\n    {body}\n"
    else:
        project.suite(body, "conftest.py")
    project.suite(suite)
    ran = project.run_process("-m", "phase2")
    assert ran.code == (25 if "pytest.exit" in body else 0), "it is forged"
    assert outcome(project).code == code, outcome(project).text


def test_it_ends_as_the_run_did(project: Project) -> None:
    for verdict, code in (("pass", 0), ("fail", 1), ("inconclusive", 21)):
        project.suite(
            GOOD + f"\n@pytest.mark.item('b.tables')\ndef test_x(gate):\n    says(gate, '{verdict}')\n"
        )
        assert project.run_process("-m", "phase2").code == code
        assert outcome(project).code == code
    found = json.loads(outcome(project, "--json").text)
    assert (found["decision"], found["exit_code"], found["scope"]) == ("HOLD", 21, "phase2")
    assert found["reasons"] == ["inconclusive: b.tables"]


def test_a_test_outside_the_checklist_counts(good: Project) -> None:
    good.suite("@pytest.mark.phase2\ndef test_more():\n    assert 0\n", "test_more.py")
    assert good.run_process("-m", "phase2").code == 1
    assert outcome(good).code == 1


def test_nothing_was_recorded(project: Project) -> None:
    ran = outcome(project, "--change", "C9")
    assert ran.code == 25
    assert "nothing was recorded for the change C9" in ran.text
    (project.path / "deploygate-out" / "C9").mkdir(parents=True)
    assert outcome(project, "--change", "C9").code == 25
    (project.path / "deploygate-out" / "C9" / journal.FILE).write_text("")
    ran = outcome(project, "--change", "C9", "--json")
    assert (ran.code, json.loads(ran.text)["exit_code"]) == (25, 25)


def test_an_earlier_run_proves_nothing_about_now(good: Project) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    assert good.run_process("-m", "phase2").code == 0
    assert outcome(good, "--since", f"{began:%Y-%m-%dT%H:%M:%SZ}").code == 0
    ran = outcome(good, "--since", f"{datetime.now(UTC) + timedelta(seconds=2):%Y-%m-%dT%H:%M:%SZ}")
    assert ran.code == 25
    assert "nothing was recorded since" in ran.text
    assert outcome(good, "--since", "yesterday").code == 4


DAMAGE = {
    "a line edited": lambda out: (out / journal.FILE).write_bytes(
        (out / journal.FILE).read_bytes().replace(b"as wanted", b"as WANTED")
    ),
    "the journal is not ours": lambda out: (out / journal.FILE).write_text('{"a": 1}\n'),
    "its lines have another shape": lambda out: rewrite(
        out, lambda line: {k: v for k, v in line.items() if k in ("at", "kind", "seq", "prev")}
    ),
    "the last line cut": lambda out: os.truncate(out / journal.FILE, (out / journal.FILE).stat().st_size - 9),
    "evidence edited": lambda out: next((out / "evidence").iterdir()).write_text("{}"),
    "evidence removed": lambda out: next((out / "evidence").iterdir()).unlink(),
    "a result edited": lambda out: (out / "verdicts.json").write_text("{}"),
    "a result removed": lambda out: (out / "signoff.html").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_folder_that_is_not_as_recorded_is_25(good: Project, damage) -> None:
    assert good.run("-m", "phase2").code == 0
    damage(good.out)
    ran = outcome(good)
    assert ran.code == 25, ran.text
    assert "Traceback" not in ran.text


def test_a_decision_that_its_findings_do_not_give_is_not_believed(project: Project) -> None:
    project.suite(RED)
    project.run("-m", "phase2")

    def forge(line):
        if line["kind"] == "decision":
            line["decision"] |= {"outcome": "GO", "exit_code": 0, "rules": []}

    rewrite(project.out, forge)
    assert deploygate(project, "report").code == 0
    assert outcome(project).code == 1


def test_the_folder_of_another_change_is_refused(good: Project) -> None:
    good.run("-m", "phase2", "--change", "C1")
    (good.path / "deploygate-out" / "C1").rename(good.path / "deploygate-out" / "C2")
    for words in (
        ("outcome",),
        ("report",),
        ("sign", "--role", "x", "--key", "k"),
        ("decide",),
        ("report", "--out", "deploygate-out/C2"),
    ):
        ran = deploygate(good, *words, "--change", "C1" if "--out" in words else "C2")
        if "--out" in words:
            assert ran.code == 0, ran.text
            continue
        assert ran.code == 4, ran.text
        assert "was written for the change C1, not for C2" in " ".join(ran.text.split())
    assert deploygate(good, "report", "--out", "deploygate-out/C2", "--change", "C3").code == 4


def test_while_another_run_writes_commands_end_with_4(good: Project) -> None:
    good.run("-m", "phase2")
    writer = journal.Writer(good.out)
    try:
        for words in (("report",), ("decide",), ("decide", "hold", "--role", "x", "--reason", "a b")):
            ran = deploygate(good, *words)
            assert ran.code == 4, ran.text
            assert "another run is writing" in ran.text
    finally:
        writer.close()
