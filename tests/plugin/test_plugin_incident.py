"""From a red item after go-live to rolled back and verified, as people do it: runs, `decide`, `rollback`."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import forked
import pytest

#: The suite's results depend on a file: the deployed version.
SUITE = """
from pathlib import Path
VERSION = Path(__file__).parents[1] / "version"

def good():
    return VERSION.read_text().strip() == "1"

@pytest.mark.item("c.errors")
def test_errors(gate):
    def judge(measurement, criterion):
        verdict = Verdict.PASS if measurement else Verdict.FAIL
        return Judgement(verdict, "0 % errors" if measurement else "7 % errors", confirmed=True)
    gate.judge(judge, good(), None)
"""

INVENTORY = """\
name: prod
rollback:
  baseline: before
  old_side: [{{name: old balancer, tcp: "127.0.0.1:{port}"}}]
  controls:
    - {{name: clock, tcp: "127.0.0.1:{port}"}}
    - {{name: mirror, tcp: "127.0.0.1:{port}"}}
  rehearsals: rehearsals.json
  steps:
    - name: maintenance page on
      run: touch maintenance
      dry_run: echo would touch maintenance
      verify: {{run: test -e maintenance, within: 1s}}
      call: operations-manager
    - name: version 1 back
      run: "{run}"
      dry_run: echo would write 1 to version
      needs: [maintenance page on]
      verify: {{items: [c.errors], within: 5s}}
      call: technical-lead
"""


@dataclass(frozen=True)
class Ran:
    """The result of a command."""

    code: int
    text: str


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def deployed(project, listening: socket.socket):
    """Version 1 was measured before the change; version 2, which is red, is now deployed."""
    port = listening.getsockname()[1]
    project.inventory(INVENTORY.format(port=port, run="echo 1 > version"))
    project.suite(SUITE)
    (project.path / "version").write_text("1\n")
    assert project.run_process("-m", "golive", "--change=before").code in (0, 21)
    (project.path / "version").write_text("2\n")
    return project


def deploygate(project, *arguments: str) -> Ran:
    done = forked.run("pytest_deploygate", arguments, cwd=project.path)
    return Ran(done.returncode, done.stdout + done.stderr)


def state(project) -> str:
    incident = json.loads(deploygate(project, "decide", "--json").text)["incident"]
    return incident["state"] if incident else "none"


def test_the_whole_way_back(deployed):
    """Red after go-live, everything known: ROLLBACK is advised (22); decided, executed and verified: 23."""
    ran = deployed.run_process("-m", "golive")
    assert ran.code == 22, ran.text
    said = " ".join(ran.text.split())
    assert "c.errors failed twice, passed before the change, and the old side is healthy now" in said
    assert state(deployed) == "assessing"
    assert deploygate(deployed, "rollback", "execute", "--confirm", "prod").code == 4
    assert deploygate(deployed, "rollback", "plan").code == 0
    plan = json.loads(deploygate(deployed, "rollback", "plan", "--json").text)
    assert [step["would"] for step in plan["steps"]] == [
        "would touch maintenance",
        "would write 1 to version",
    ]
    assert "never rehearsed" in plan["steps"][0]["estimated_from"]
    decided = deploygate(
        deployed, "decide", "rollback", "--role", "Deployment lead", "--reason", "7 % errors for everybody"
    )
    assert decided.code == 22, decided.text
    back = deploygate(deployed, "rollback", "execute", "--confirm", "prod")
    assert back.code == 23, back.text
    assert "rolled back and verified" in back.text
    assert state(deployed) == "after"
    again = json.loads(deploygate(deployed, "rollback", "plan", "--json").text)
    assert {step["estimated_from"] for step in again["steps"]} == {"one rehearsal"}


@pytest.mark.long
def test_a_rollback_that_does_not_help_has_failed_and_says_whom_to_call(deployed, listening):
    port = listening.getsockname()[1]
    deployed.inventory(INVENTORY.format(port=port, run="echo 3 > version"))
    deployed.run_process("-m", "golive")
    deploygate(
        deployed, "decide", "rollback", "--role", "deployment-lead", "--reason", "errors for everybody"
    )
    back = deploygate(deployed, "rollback", "execute", "--confirm", "prod")
    assert back.code == 24
    assert "ROLLBACK FAILED at version 1 back: c.errors: fail: 7 % errors" in " ".join(back.text.split())
    assert "call technical-lead" in " ".join(back.text.split())
    assert state(deployed) == "rollback failed"
    assert "maintenance page on: as wanted: `test -e maintenance` ended with 0" in " ".join(back.text.split())
    report = (deployed.path / "deploygate-out" / "local" / "signoff.html").read_text()
    assert "A step failed or could not be verified: see the state of the platform below." in report
    assert "State of the platform when the rollback stopped" in report
    assert "call technical-lead" in report


def test_a_failure_that_two_runs_of_a_change_saw_was_seen_twice(deployed):
    """A test that cannot repeat its measurement holds at first; the re-run confirms it, a green run in between does not."""
    deployed.suite(SUITE.replace("confirmed=True", "confirmed=False"))
    first = deployed.run_process("-m", "golive")
    assert (first.code, "not confirmed by a repeat" in " ".join(first.text.split())) == (1, True)
    (deployed.path / "version").write_text("1\n")
    deployed.run_process("-m", "golive")
    (deployed.path / "version").write_text("2\n")
    assert deployed.run_process("-m", "golive").code == 1
    assert deployed.run_process("-m", "golive").code == 22


def test_a_baseline_is_not_its_own(deployed):
    """A red run of the baseline's own change has no earlier state, rather than counting as red before."""
    ran = deployed.run_process("-m", "golive", "--change=before")
    assert ran.code == 1
    assert "it may have failed before the change" in " ".join(ran.text.split())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("baseline: before", "there is no baseline"),
        (
            'old_side: [{{name: old balancer, tcp: "127.0.0.1:{port}"}}]',
            "the health of the old side is unknown",
        ),
    ],
)
def test_what_is_not_known_never_rolls_back(deployed, listening, change, why):
    port = listening.getsockname()[1]
    deployed.inventory(INVENTORY.replace(f"  {change}\n", "").format(port=port, run="true"))
    ran = deployed.run_process("-m", "golive")
    assert ran.code == 1
    assert why in " ".join(ran.text.split())


def test_an_unhealthy_old_side_or_a_blind_gate_holds(deployed, listening):
    port = listening.getsockname()[1]
    listening.close()
    deployed.inventory(INVENTORY.format(port=port, run="true"))
    ran = deployed.run_process("-m", "golive")
    assert ran.code == 1
    assert "the old side is not healthy" in " ".join(ran.text.split())


def test_a_good_rerun_ends_the_incident(deployed):
    deployed.run_process("-m", "golive")
    (deployed.path / "version").write_text("1\n")
    assert deployed.run_process("--items", "c.errors").code == 0
    assert state(deployed) == "passed"


FIXES = """\
  quick_fixes:
    - name: restart
      items: [c.*]
      dry_run: echo would restart
      run: "echo {version} > version"
      undo: "echo 2 > version; touch undone"
"""


def test_a_quick_fix_that_helps_ends_the_incident(deployed):
    inventory = deployed.path / "inventories" / "prod.yml"
    inventory.write_text(inventory.read_text() + FIXES.format(version=1))
    deployed.run_process("-m", "golive")
    fixed = deploygate(deployed, "decide", "--quick-fix")
    assert fixed.code == 0, fixed.text
    assert state(deployed) == "passed"
    assert not (deployed.path / "undone").exists()


def test_a_quick_fix_that_does_not_help_is_taken_back_and_not_tried_twice(deployed):
    inventory = deployed.path / "inventories" / "prod.yml"
    inventory.write_text(inventory.read_text() + FIXES.format(version=3))
    deployed.run_process("-m", "golive")
    assert deploygate(deployed, "decide", "--quick-fix").code == 22
    assert (deployed.path / "undone").exists()
    assert state(deployed) == "assessing"
    again = deploygate(deployed, "decide", "--quick-fix")
    assert (again.code, "allows no more" in again.text) == (4, True)


def test_a_person_who_decides_says_who_and_why(deployed):
    deployed.run_process("-m", "golive")
    assert "--role" in deploygate(deployed, "decide", "hold").text
    assert "--reason" in deploygate(deployed, "decide", "hold", "--role", "deployment-lead").text
    held = deploygate(
        deployed, "decide", "hold", "--role", "deployment-lead", "--reason", "cache was cold, looking again"
    )
    assert (held.code, state(deployed)) == (21, "held")


def test_without_an_incident_there_is_nothing_to_decide(project):
    project.suite(SUITE)
    (project.path / "version").write_text("1\n")
    project.run_process("-m", "golive")
    said = deploygate(project, "decide", "go", "--role", "deployment-lead", "--reason", "all is well")
    assert (said.code, "no open incident" in said.text) == (4, True)


def test_a_run_may_execute_where_that_was_asked_for(deployed):
    """`--rollback=execute` decides by the rules and rolls back at once: 23."""
    ran = deployed.run_process("-m", "golive", "--rollback=execute")
    assert ran.code == 23, ran.text
    assert (deployed.path / "version").read_text() == "1\n"


def test_before_go_live_no_incident_opens(project):
    project.suite(
        """
        @pytest.mark.item("b.migrations")
        def test_migrations(gate):
            says(gate, "fail", "one behind")
        """
    )
    project.run_process("-m", "phase2")
    assert state(project) == "none"


def test_items_that_do_not_exist_are_a_usage_error_with_the_nearest(good):
    ran = good.run_process("--items", "b.migration")
    assert ran.code == 4
    assert "b.migrations" in ran.text
    assert good.run_process("--items", "b.migrations").code == 0
    assert good.verdicts()["decision"]["scope"] == "items b.migrations"


FREEZE = """
name: prod
timetable:
  t0: 2020-01-01
  freezes: [{start: 2020-01-01T00:00:00Z, end: 2999-01-01T00:00:00Z, reason: holiday sales}]
contacts: [{role: deployment-lead, mail: deployment-lead@example.com}]
"""


def test_inside_a_freeze_nothing_runs_unless_a_role_overrides_with_a_reason(good):
    good.inventory(FREEZE)
    refused = good.run_process("-m", "phase2")
    assert (refused.code, "holiday sales" in refused.text) == (4, True)
    assert not good.out.exists()
    assert good.run_process("-m", "phase2", "--override-freeze=deployment-lead").code == 4
    ran = good.run_process("-m", "phase2", "--override-freeze=deployment-lead: security fix CHG-7")
    assert ran.code == 0
    assert "was overridden by deployment-lead: security fix CHG-7" in good.because()


def test_what_changes_nothing_may_run_in_a_freeze(good):
    good.inventory(FREEZE)
    assert good.run_process("-m", "preflight").code == 21


def test_outside_its_window_a_phase_warns(good):
    text = (good.path / "suites" / "checklist.md").read_text()
    (good.path / "suites" / "checklist.md").write_text(
        text.replace("## Database {", "## Database (T-0, 14:00 - 16:00) {")
    )
    good.inventory("name: prod\ntimetable: {t0: 2020-01-01}\n")
    ran = good.run_process("-m", "phase2")
    assert ran.code == 0
    assert (
        "phase2 is planned for Wed 2020-01-01 14:00 to 16:00 UTC and runs outside that window"
        in good.because()
    )
