"""Incident decisions: signed over their journal entry and its position; altered or moved ones do not count."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_deploygate.cli.shared import changes
from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event, What
from pytest_deploygate.journal import Entry
from pytest_deploygate.moments import Moment
from pytest_deploygate.signoff import decided, ssh

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
AT = datetime(2026, 3, 4, 22, 10, tzinfo=UTC)
RUN = {"run": "r", "change": "CHG-1", "inventory": {"name": "prod", "description": "", "sha256": "0"}}
BEGUN = Entry(1, AT, "run", RUN, "a" * 64)
ROLLBACK = Event(
    "incident-1", What.DECIDED, Moment(AT), "deployment-lead", "ROLLBACK", "logins fail", "Our lead"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("lead", "other"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)],
            check=True,
            timeout=20,
        )
    line = 'deployment-lead namespaces="deploygate-signoff,deploygate-decision" '
    (folder / "allowed_signers").write_text(line + (folder / "lead.pub").read_text())
    return folder


def entry(event: Event, seq: int = 2) -> Entry:
    body = json.loads(json.dumps(incident_log.to_json(event))) | {"prev": BEGUN.sha256}
    return Entry(seq, event.at.wall, incident_log.KIND, body, "b" * 64)


def signed(keys: Path, by: str = "lead", head: str = BEGUN.sha256) -> Entry:
    armour = decided.sign(ROLLBACK, "CHG-1", "prod", head, keys / by)
    return entry(Event(**{f: getattr(ROLLBACK, f) for f in vars(ROLLBACK)} | {"signature": armour}))


def seen(entries: Sequence[Entry], keys: Path, allowed: str = "allowed_signers") -> decided.Decided:
    (found,) = decided.read(entries, keys / allowed, AT)
    return found


def test_a_signed_decision_holds(keys):
    found = seen([BEGUN, signed(keys)], keys)
    assert found.state == "signed"
    assert "which may decide as deployment-lead" in found.text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("outcome", "GO"),
        ("by", "technical-lead"),
        ("reason", "all is well"),
        ("name", "Somebody"),
        ("incident", "incident-2"),
        ("moment", {"wall": "2026-03-04T21:00:00+00:00", "boot": "", "up_s": 0.0}),
    ],
)
def test_one_altered_word_is_found_out(keys, key, value):
    made = signed(keys)
    found = seen([BEGUN, Entry(2, AT, made.kind, {**made.body, key: value}, made.sha256)], keys)
    assert found.state == "altered"
    assert "it was ALTERED after it was signed, or moved here from elsewhere" in found.why


def test_a_decision_of_another_change_or_another_line_does_not_count(keys):
    other = Entry(1, AT, "run", {**RUN, "change": "CHG-2"}, BEGUN.sha256)
    assert seen([other, signed(keys)], keys).state == "altered"
    before, made = Entry(1, AT, "run", RUN, "c" * 64), signed(keys)
    moved = Entry(2, AT, made.kind, {**made.body, "prev": before.sha256}, made.sha256)
    assert seen([before, moved], keys).state == "altered"


def test_a_key_that_may_not_or_that_nobody_vouches_for_is_not_trusted(keys):
    found = seen([BEGUN, signed(keys, "other")], keys)
    assert (found.state, "it may not decide as deployment-lead" in found.why) == ("untrusted", True)
    found = seen([BEGUN, signed(keys)], keys, "nothing")
    assert (found.state, "trust not established" in found.why) == ("untrusted", True)


def test_a_key_for_reports_alone_may_not_decide(keys, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text('deployment-lead namespaces="deploygate-signoff" ' + (keys / "lead.pub").read_text())
    (found,) = decided.read([BEGUN, signed(keys)], allowed, AT)
    assert "may not be used for deploygate-decision (namespaces=…)" in found.why


def test_a_signature_of_a_report_is_none_of_a_decision(keys):
    raw = decided.statement(ROLLBACK, "CHG-1", "prod", BEGUN.sha256)
    armour = ssh.as_stored(ssh.sign(raw, keys / "lead")).decode()
    event = Event(**{f: getattr(ROLLBACK, f) for f in vars(ROLLBACK)} | {"signature": armour})
    assert seen([BEGUN, entry(event)], keys).state == "altered"


def test_without_a_signature_it_says_so_and_nobody_signs_for_a_deadline(keys):
    assert seen([BEGUN, entry(ROLLBACK)], keys).state == "unsigned"
    late = Event("incident-1", What.DECIDED, Moment(AT), "deadline", "ROLLBACK")
    assert decided.read([BEGUN, entry(late)], keys / "allowed_signers", AT) == []


def test_checks_weigh_an_altered_decision_as_broken_and_an_untrusted_as_unsigned(keys):
    made = signed(keys)
    altered = Entry(2, AT, made.kind, {**made.body, "outcome": "GO"}, made.sha256)
    codes = [
        next(decided.checks([BEGUN, one], keys / "allowed_signers", AT)).code
        for one in (altered, signed(keys, "other"))
    ]
    assert codes == [25, 26]
    assert next(decided.checks([BEGUN, entry(ROLLBACK)], None, AT)).ok is None


def test_allowed_signers_that_nobody_committed_vouch_for_nobody(keys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(keys / "allowed_signers", tmp_path)
    assert changes.decisions([BEGUN, signed(keys)])[0].state == "signed"
    git = ("git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run([*git, "init", "-q"], check=True)
    (found,) = changes.decisions([BEGUN, signed(keys)])
    assert found.state == "untrusted"
    assert "that counts (uncommitted: " in found.why
    subprocess.run([*git, "add", "allowed_signers"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "keys"], check=True)
    assert changes.decisions([BEGUN, signed(keys)])[0].state == "signed"
