"""`decide` and `rollback` as typed at night: deadlines that act, clear refusals, a report that stays in sync."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess

import pytest
from click.testing import CliRunner
from test_plugin_hooks import deployed, deploygate, state
from test_plugin_incident import listening

from pytest_deploygate import journal
from pytest_deploygate.cli import main
from pytest_deploygate.journal.lines import own_digest, sealed

__all__ = ["deployed", "listening"]

CONTACTS = """\
contacts:
  - {role: deployment-lead, phone: "+15550100"}
  - {role: operations-manager, mail: operations-manager@example.com}
"""
HOLD = ("decide", "hold", "--role", "deployment-lead", "--reason", "cache was cold")
BACK = ("decide", "rollback", "--role", "deployment-lead", "--reason", "errors for all")


def change(project, old: str, new: str) -> None:
    file = project.path / "inventories" / "prod.yml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def events(project) -> list[dict]:
    lines = (project.out / "journal.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["kind"] == "incident"]


@pytest.fixture
def red(deployed):
    """An incident is open; the contact list names two roles."""
    file = deployed.path / "inventories" / "prod.yml"
    file.write_text(file.read_text() + CONTACTS)
    deployed.run("-m", "golive")
    return deployed


#: What somebody may type, and what the output must contain.
MISTAKES = (
    (("decide", "holdd"), "did you mean 'hold'"),
    (("decide", "--change", "locl"), "did you mean 'local'"),
    (("decide", "hold"), "say who decides"),
    (("decide", "hold", "--role", "deployment-lead"), "say why"),
    (("decide", "hold", "--role", "deploymentlead", "--reason", "a b"), "did you mean 'deployment-lead'"),
    (("decide", "--wait", "--rerun"), "mutually exclusive"),
    (("decide", "--reason", "a b"), "belong to a decision"),
    (("decide", "--measure", "1m"), "belongs to --wait"),
    (("decide", "--wait", "--measure", "often"), "is not a duration"),
    (("decide", "--wait", "--measure", "1s"), "at least 10 s"),
    (("decide", "--hlep"), "decide --help"),
    (("rollback", "--plan", "--execute"), "mutually exclusive"),
    (("rollback", "plam"), "rollback --help"),
    (("rollback", "plan", "--execute"), "rollback plan --help"),
    (("rollback", "execute"), "--confirm prod"),
    (("rollback", "execute", "--confirm", "prd"), "--confirm prod"),
    (("rollback", "execute", "--done"), "rollback execute --help"),
    (("rollback", "execute", "--confirm", "prod", "--accept-loss"), "needs --role"),
    (("rollback", "execute", "--confirm", "prod", "--role", "deployment-lead"), "belong to --accept-loss"),
    (("rollback", "after", "--retry", "2020-01-01T00:00Z"), "is in the past"),
    (("rollback", "after", "--retry", "soon"), "write for example"),
)


def test_bad_input_is_one_sentence_and_exit_4(red):
    answers = [(deploygate(red, *words), words, says) for words, says in MISTAKES]
    wrong = [
        (words, a.code, a.text)
        for a, words, says in answers
        if a.code != 4 or says not in " ".join(a.text.split())
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (("--plan", "--json"), ("plan", "--json"), 0),
        (("--json", "--plan"), ("plan", "--json"), 0),
        (("--execute", "--confirm", "prod"), ("execute", "--confirm", "prod"), 4),
        (("--after", "--done"), ("after", "--done"), 4),
        (("--execute", "--confirm", "prd"), ("execute", "--confirm", "prd"), 4),
        (("--after", "--confirm", "prod"), ("after", "--confirm", "prod"), 4),
    ],
)
def test_an_old_spelling_of_rollback_does_the_same_and_says_the_new_one(red, old, new, code):
    before = CliRunner().invoke(main, ["rollback", *old], prog_name="deploygate")
    now = CliRunner().invoke(main, ["rollback", *new], prog_name="deploygate")
    said = f"`{old[0] if old[0] != '--json' else old[1]}` is a command now: deploygate rollback {' '.join(new)}\n"
    assert (before.exit_code, before.stdout, before.stderr) == (code, now.stdout, said + now.stderr)
    assert now.exit_code == code


def test_a_rollback_is_executed_and_followed_up_in_the_old_spelling(red):
    deploygate(red, *BACK)
    assert deploygate(red, "rollback", "--execute", "--confirm", "prod").code == 23
    assert deploygate(red, "rollback", "--after", "--done").code == 0
    assert state(red) == "rolled back"


def test_a_runbook_that_takes_too_long_is_exit_4_in_both_spellings(red):
    change(red, "rollback:\n", "rollback:\n  rollback_within: 1ms\n")
    for word in ("plan", "--plan"):
        said = deploygate(red, "rollback", word)
        assert (said.code, "does NOT fit" in said.text) == (4, True)


def test_what_cannot_be_now_says_why_and_what_comes_first(red):
    said = deploygate(red, "rollback", "execute", "--confirm", "prod")
    assert (said.code, "decide rollback --role ROLE" in said.text) == (4, True)
    said = deploygate(red, "rollback", "after", "--done")
    assert (said.code, "--done is for an incident that was rolled back" in said.text) == (4, True)
    assert deploygate(red, *BACK).code == 22
    assert deploygate(red, *HOLD).code == 21, "no step is done yet: it can be called off"


def test_a_rollback_that_is_half_done_cannot_be_called_off(red):
    change(red, '"echo 1 > version"', '"echo 3 > version"')
    deploygate(red, *BACK)
    assert deploygate(red, "rollback", "execute", "--confirm", "prod").code == 24
    for decision in (HOLD, ("decide", "go", *HOLD[2:])):
        said = deploygate(red, *decision)
        assert (said.code, "has begun (done: maintenance page on)" in " ".join(said.text.split())) == (
            4,
            True,
        )


def test_the_report_stays_in_step_with_the_journal(red):
    """After a decision `verify` confirms that the results match the journal."""
    deploygate(red, *HOLD)
    checks = json.loads(deploygate(red, "verify", "--json").text)["checks"]
    assert [c for c in checks if c["ok"] is False and c["exit_code"] == 25] == []
    assert any(c["name"] == "decision" and "not signed" in c["text"] for c in checks)


def test_nobody_decided_and_the_next_command_writes_it_down_with_how_late_that_is(deployed):
    change(deployed, "rollback:\n", "rollback:\n  decide_within: 0s\n")
    deployed.run("-m", "golive")
    first = events(deployed)
    assert [(e["what"], e["by"], e["outcome"]) for e in first] == [
        ("opened", "gate", "ROLLBACK"),
        ("deadline", "deadline", "ROLLBACK"),
    ], "the run itself is the next command"
    assert state(deployed) == "held"
    change(deployed, "decide_within: 0s", "decide_within: 0s\n  held_for: 0s")
    deployed.run("-m", "golive")
    late = [e for e in events(deployed) if e["what"] == "deadline"][-1]
    assert "on HOLD for 0 min without a decision: escalate again" in late["reason"]
    assert late["late_s"] > 0


def test_wait_executes_at_the_deadline_where_that_is_written(deployed):
    """The old side is checked once more; the rollback is begun and ends verified: 23."""
    change(deployed, "rollback:\n", "rollback:\n  decide_within: 3s\n  at_deadline: execute\n")
    deployed.run("-m", "golive")
    said = deploygate(deployed, "decide", "--wait")
    assert (said.code, "the policy executes at the deadline" in said.text) == (23, True), said.text
    assert [e["by"] for e in events(deployed) if e["what"] in ("deadline", "decided")] == [
        "deadline",
        "deadline",
    ]
    kinds = [json.loads(line)["kind"] for line in (deployed.out / "journal.jsonl").read_text().splitlines()]
    assert kinds.index("looked again") < kinds.index("rollback")


def test_wait_does_not_execute_when_the_old_side_died_meanwhile(deployed, listening):
    change(
        deployed, "rollback:\n", "rollback:\n  decide_within: 3s\n  at_deadline: execute\n  held_for: 0s\n"
    )
    deployed.run("-m", "golive")
    listening.close()
    late = deploygate(deployed, "decide", "--json")
    while not [e for e in events(deployed) if e["what"] == "deadline"]:
        late = deploygate(deployed, "decide", "--json")
    assert late.code == 0
    assert {e["outcome"] for e in events(deployed) if e["what"] == "deadline"} == {"HOLD"}
    assert (deployed.path / "version").read_text() == "2\n"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
def test_an_altered_decision_is_shown_and_nothing_is_done_on_it(red):
    """A forger turns a signed HOLD into ROLLBACK and recomputes the chain: every command reports it, none acts."""
    key = red.path / "lead"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True, timeout=20
    )
    kind, public = (red.path / "lead.pub").read_text().split()[:2]
    (red.path / "allowed_signers").write_text(
        f'deployment-lead namespaces="deploygate-decision" {kind} {public}\n'
    )
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{key}2"], check=True, timeout=20)
    stranger = deploygate(red, *HOLD, "--key", f"{key}2")
    assert (stranger.code, "it may not decide as deployment-lead" in " ".join(stranger.text.split())) == (
        4,
        True,
    )
    (red.out / "signatures").mkdir()  # of the report before: the journal names it before it goes on
    (red.out / "signatures" / "x.json").write_text("{}")
    (red.out / "signatures" / "x.json.sig").write_text("x")
    assert deploygate(red, *HOLD, "--key", str(key)).code == 21
    assert "which may decide as deployment-lead" in deploygate(red, "decide").text
    _forge(red.out / "journal.jsonl")
    shown = deploygate(red, "decide")
    assert "it was ALTERED after it was signed" in shown.text
    for words in (("rollback", "execute", "--confirm", "prod"), BACK):
        refused = deploygate(red, *words)
        assert (refused.code, "ALTERED" in refused.text) == (25, True)
    verified = deploygate(red, "verify")
    assert (verified.code, "ALTERED" in verified.text.splitlines()[-2]) == (25, True), verified.text
    assert (red.path / "version").read_text() == "2\n"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
def test_where_decisions_must_be_signed_one_without_a_signature_is_none(red):
    """Removing a signature is no way round: nothing is done on an unsigned decision."""
    deploygate(red, *BACK)
    change(red, "rollback:\n", "rollback:\n  signed_decisions: true\n")
    refused = deploygate(red, *HOLD)
    assert (refused.code, "decisions must be signed here" in refused.text) == (4, True)
    refused = deploygate(red, "rollback", "execute", "--confirm", "prod")
    assert state(red) == "rolling back"
    assert (refused.code, "not signed: anybody" in " ".join(refused.text.split())) == (25, True)


def _forge(file) -> None:
    """Alter a decision and recompute every line's hashes, like an attacker with the folder but without a key."""
    out, previous = [], journal.GENESIS
    for raw in file.read_bytes().splitlines():
        line = json.loads(raw)
        line.pop("own")
        if line.get("signature"):
            line["outcome"] = "ROLLBACK"
        line["prev"] = previous
        text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        out.append(text[:-1] + sealed(own_digest(text)))
        previous = hashlib.sha256(out[-1]).hexdigest()
    file.write_bytes(b"\n".join(out) + b"\n")


def test_going_back_is_never_frozen_but_the_next_try_is(red):
    """Inside a freeze the items that verify a step still run; no retry is scheduled in it."""
    freeze = 'freezes: [{start: "2020-01-01T00:00:00Z", end: "2999-01-01T00:00:00Z", reason: holiday sales}]'
    change(red, "rollback:\n", f"timetable:\n  t0: 2020-01-01\n  {freeze}\nrollback:\n")
    deploygate(red, *BACK)
    back = deploygate(red, "rollback", "execute", "--confirm", "prod")
    assert back.code == 23, back.text
    refused = deploygate(red, "rollback", "after", "--retry", "2030-01-01T00:00Z")
    assert (refused.code, "holiday sales" in refused.text) == (4, True)
    done = deploygate(red, "rollback", "after")
    for words in (
        "call 1. deployment-lead: +15550100",
        "call 2. operations-manager",
        "schedule the next attempt",
    ):
        assert words in done.text
    page = (red.out / "signoff.html").read_text()
    for words in ("in this order", "<li>deployment-lead: +15550100", "schedule the next attempt"):
        assert words in page


def test_who_overrides_a_freeze_is_a_role_that_there_is(red):
    freeze = 'freezes: [{start: "2020-01-01T00:00:00Z", end: "2999-01-01T00:00:00Z", reason: holiday sales}]'
    change(red, "rollback:\n", f"timetable:\n  t0: 2020-01-01\n  {freeze}\nrollback:\n")
    ran = red.run("-m", "golive", "--override-freeze=deployment-led: approved in CHG-7")
    assert (ran.code, "did you mean 'deployment-lead'" in ran.text) == (4, True)
    assert red.run("-m", "golive", "--override-freeze=deployment-lead: approved in CHG-7").code == 22
