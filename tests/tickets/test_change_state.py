"""The state of the change: what tickets say, what is judged of it, and what a run decides."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from tickets_servers import TOKEN, GitHub, GitLab, Jira, ServiceNow, running

from pytest_deploygate.clients.tickets import opening
from pytest_deploygate.clients.tickets.asking import MistakeError
from pytest_deploygate.decision.change_state import ChangeState, judge
from pytest_deploygate.decision.recorded_change_state import from_json, to_json
from pytest_deploygate.fields.references import reading
from pytest_deploygate.fields.tickets import Tracker, ticket_of

NOON = datetime(2026, 12, 1, 20, 30, tzinfo=UTC)
EARLY, LATE = NOON - timedelta(hours=1), NOON + timedelta(hours=3)
WINDOW = (NOON - timedelta(minutes=30), NOON + timedelta(minutes=90))


def state(**more) -> ChangeState:
    known = {"approved": True, "scheduled": True, "window": WINDOW, "said": "state Implement"}
    return ChangeState("servicenow:CHG0030001", NOON, **{**known, **more})


@pytest.mark.parametrize(
    ("found", "times", "good", "words"),
    [
        (state(), [NOON], True, "in its window until 2026-12-01 22:00 UTC"),
        (state(window=None), [NOON], True, "the system has no window for it"),
        (state(scheduled=None), [NOON], True, "state Implement"),
        (state(approved=False), [NOON], False, "it is not approved (state Implement)"),
        (state(scheduled=False), [NOON], False, "not scheduled or being implemented"),
        (state(), [EARLY], False, "has not begun"),
        (state(), [NOON, LATE], False, "2026-12-01 20:00 to 2026-12-01 22:00 UTC is over"),
        (state(window=(None, None)), [NOON], None, "it has no planned start and end"),
        (state(window=WINDOW[::-1]), [NOON], None, "ends before it starts"),
        (state(approved=False, window=(None, None)), [NOON], False, "it is not approved"),
        (state(approved=None, scheduled=None), [NOON], None, "add `approved` to its entry"),
        (state(unknown="nobody answers"), [NOON], None, "unknown: nobody answers"),
    ],
)  # fmt: skip
def test_judged(found, times, good, words):
    judged = judge(found, times)
    assert (judged.good, words in judged.text) == (good, True), judged.text
    assert from_json(to_json(found)) == found


def tracker(system, tmp_path, monkeypatch, **more) -> Tracker:
    monkeypatch.setenv("TICKET_TOKEN", TOKEN)
    with reading(tmp_path / "x.yml"):
        return Tracker.model_validate({**system.entry, "timeout": "60s", **more})


def told(system, key, tmp_path, monkeypatch, **more) -> ChangeState:
    found = opening.opened(tracker(system, tmp_path, monkeypatch, **more), key).state()
    assert system.complaints == []
    return found


def test_servicenow(tmp_path, monkeypatch):
    with running(ServiceNow()) as system:
        found = told(system, "CHG0030001", tmp_path, monkeypatch)
        assert (found.approved, found.scheduled, found.window) == (True, True, WINDOW)
        assert found.said == "state Implement, approval Approved"
        system.record = {**system.record, "state": ("New", "-5"), "approval": ("Requested", "requested"), "start_date": ("", "")}  # fmt: skip
        found = told(system, "CHG0030001", tmp_path, monkeypatch)
        assert (found.approved, found.scheduled, found.window) == (False, False, (None, WINDOW[1]))
        system.record = {**system.record, "state": ("Implement", "-1"), "on_hold": ("true", "true")}
        assert told(system, "CHG0030001", tmp_path, monkeypatch).scheduled is False
        assert told(system, "CHG0030001", tmp_path, monkeypatch, approved=["requested"]).approved is True


def test_jira(tmp_path, monkeypatch):
    fields = {
        "customfield_1": "2026-12-01T21:00:00.000+0100",
        "customfield_2": "2026-12-01T23:00:00.000+0100",
    }
    more = {"approved": ["Approved"], "start_field": "customfield_1", "end_field": "customfield_2"}
    with running(Jira()) as system:
        system.fields = fields
        found = told(system, "OPS-42", tmp_path, monkeypatch, **more)
        assert (found.approved, found.scheduled, found.window) == (True, None, WINDOW)
        assert told(system, "OPS-42", tmp_path, monkeypatch).approved is None
        system.fields = {**fields, "customfield_2": None}
        found = told(system, "OPS-42", tmp_path, monkeypatch, **more)
        assert found.window == (WINDOW[0], None)
        system.status = "Under review"
        assert told(system, "OPS-42", tmp_path, monkeypatch, **more).approved is False


def test_labels(tmp_path, monkeypatch):
    with running(GitHub()) as system:
        assert told(system, "42", tmp_path, monkeypatch, approved=["change-approved"]).approved is True
        assert told(system, "42", tmp_path, monkeypatch, approved=["other"]).approved is False
        system.open = False
        assert told(system, "42", tmp_path, monkeypatch, approved=["change-approved"]).approved is False
    with running(GitLab()) as system:
        found = told(system, "42", tmp_path, monkeypatch, approved=["change::approved"], scheduled=["now"])
        assert (found.approved, found.scheduled, found.window) == (True, False, None)


def test_the_change_names_the_ticket(tmp_path, monkeypatch):
    mine = tracker(ServiceNow(url="http://127.0.0.1:1"), tmp_path, monkeypatch)
    assert opening.of_change([mine], "CHG0030001") == (mine, "CHG0030001")
    assert ticket_of([mine], "CHG0030001") == "servicenow:CHG0030001"
    assert (ticket_of([mine], "release-7"), ticket_of([], "x")) == ("servicenow:KEY", "")
    with pytest.raises(MistakeError, match="the run names no change"):
        opening.of_change([mine], "local")
    with pytest.raises(MistakeError, match="did you mean 'servicenow'"):
        opening.named([mine], "servicenov:CHG0030001")
    with pytest.raises(MistakeError, match="write SYSTEM:KEY"):
        opening.named([mine], "CHG0030001")
    with pytest.raises(MistakeError, match="not the key of a ticket of servicenow"):
        opening.named([mine], "servicenow:CHG1^ORnumber=2")


def test_a_run_outside_an_approved_change_holds(change_that_ran, tmp_path, monkeypatch):
    """The same project, and a ticket in four states, by real runs in one process each."""
    project = tmp_path / "project"
    shutil.copytree(change_that_ran, project)
    with running(Jira()) as system:
        entry = {**system.entry, "approved": ["Approved"], "ticket": "OPS-42", "timeout": "60s"}

        def run(policy: str, change: str) -> subprocess.CompletedProcess[str]:
            text = yaml.safe_dump({"name": "small", "tickets": [entry], "policy": {"change_state": policy}})
            (project / "inventories" / "small.yml").write_text(text)
            command = [sys.executable, "-m", "pytest", "-q", "-m", "phase1", "--inventory", "small"]
            env = {"PATH": "/usr/bin:/bin", "HOME": str(project), "TICKET_TOKEN": TOKEN}
            return subprocess.run(
                [*command, "--change", change],
                cwd=project,
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )

        done = run("required", "A")
        assert done.returncode == 0, done.stdout
        assert "jira:OPS-42: status Approved" in " ".join(done.stdout.split())
        system.status = "Under review"
        done = run("required", "B")
        assert done.returncode == 21, done.stdout
        said = " ".join(done.stdout.split())
        assert "outside an approved change: jira:OPS-42: it is not approved (status Under review)" in said
        assert "Next: bring the ticket into the state that is named above, then run again:" in said
        assert run("listed", "C").returncode == 0
    done = run("required", "D")
    assert done.returncode == 21
    assert "the state of the change is unknown" in done.stdout
    assert TOKEN not in done.stdout
    assert all(TOKEN not in file.read_text() for file in project.glob("deploygate-out/*/*.jsonl"))
