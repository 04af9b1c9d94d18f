"""Signing: what is refused before anything is written, and what is written."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_change import ROLES, allow, make_key, results_again, run_gate

from pytest_deploygate.checks.people.probe.ssh_signatures import canonical
from pytest_deploygate.journal import FILE, Writer
from pytest_deploygate.redaction import Secret
from pytest_deploygate.signoff import folder as folders
from pytest_deploygate.signoff import signing, ssh
from pytest_deploygate.signoff.signing import RefusedToSign, sign
from pytest_deploygate.signoff.statement import parse
from pytest_deploygate.signoff.verify import verify

LEAD, TECH, OPS = ROLES


@pytest.fixture
def go(project):
    return project / "deploygate-out" / "CHG-1"


@pytest.fixture
def hold(project):
    return project / "deploygate-out" / "CHG-3"


def refused(folder, role, key, **options):
    """Return why signing is refused, and check that nothing was written."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(RefusedToSign) as caught:
        sign(folder, role, key, **{"name": "A person", **options})
    assert sorted(folder.rglob("*")) == before
    return caught.value


def test_what_is_signed(go, keys):
    """The digests, the head, the decision and the signer, in a canonical file with canonical armour."""
    signed = sign(
        go, "Deployment lead", keys[LEAD], name="A  person", meaning="I was there", reason="all green"
    )
    raw = (go / "signatures" / f"{LEAD}.json").read_bytes()
    said = parse(raw)
    assert said == signed.statement
    taken = folders.take(go)
    lines = taken.journal.split(b"\n")
    assert said.report_sha256 == folders.digest(taken.results["signoff.html"])
    assert said.verdicts_sha256 == folders.digest(taken.results["verdicts.json"])
    assert said.junit_sha256 == folders.digest(taken.results["junit.xml"])
    assert said.journal_head == folders.digest(lines[-2])
    assert said.journal_lines == len(lines) - 1
    assert (said.change, said.inventory, said.scope, said.decision) == ("CHG-1", "small", "phase1", "GO")
    assert (said.role, said.name, said.meaning, said.reason) == (LEAD, "A person", "I was there", "all green")
    assert abs((datetime.now(UTC) - said.at).total_seconds()) < 60
    assert canonical((go / "signatures" / f"{LEAD}.json.sig").read_bytes())
    assert signed.missing == (TECH, OPS)


def test_ssh_keygen_alone_verifies_it(go, keys, project):
    """A verifier who does not trust this tool needs only ssh-keygen."""
    sign(go, LEAD, keys[LEAD], name="A person")
    allowed = allow(project / "allowed_signers", keys)
    file = go / "signatures" / f"{LEAD}.json"
    done = subprocess.run(
        [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            allowed,
            "-I",
            LEAD,
            "-n",
            "deploygate-signoff",
            "-s",
            f"{file}.sig",
        ],
        input=file.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_public_key_and_agent(go, keys, project, tmp_path, monkeypatch):
    """The private key is only in an agent."""
    key = make_key(tmp_path, "held")
    with subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.DEVNULL) as agent:
        try:
            for _ in range(100):
                if (tmp_path / "agent").exists():
                    break
                time.sleep(0.02)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
            subprocess.run(["ssh-add", "-q", key], check=True)
            key.unlink()
            sign(go, LEAD, Path(f"{key}.pub"), name="A person")
        finally:
            agent.terminate()
    allowed = allow(project / "allowed_signers", {**keys, LEAD: key})
    assert verify(go, allowed, (LEAD,)).ok


def test_public_key_without_its_private_half(go, tmp_path, monkeypatch):
    key = make_key(tmp_path, "lost")
    key.unlink()
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert "could not sign" in str(refused(go, LEAD, Path(f"{key}.pub")))


def test_no_such_key(go, tmp_path):
    assert "there is no key" in str(refused(go, LEAD, tmp_path / "nothing"))


def test_a_key_that_is_none(go, tmp_path):
    (tmp_path / "text").write_text("hello")
    assert "could not sign" in str(refused(go, LEAD, tmp_path / "text"))


def test_unknown_role(go, keys):
    why = refused(go, "Deploymnt lead", keys[LEAD])
    assert "did you mean 'deployment-lead'?" in str(why)
    assert why.code == 2


def test_roles_given(go, keys):
    """A role named only in `roles`."""
    assert sign(go, "cto", keys[LEAD], name="x", roles=("cto",)).missing == ()
    assert "no role is named to sign" in str(refused(go, "cto", keys[LEAD], roles=()))


def test_one_key_in_two_roles(go, keys):
    sign(go, LEAD, keys[LEAD], name="A person")
    assert "this key already signed as deployment-lead" in str(refused(go, TECH, keys[LEAD]))


def test_signed_already(go, keys, tmp_path):
    sign(go, LEAD, keys[LEAD], name="A person")
    assert "has signed this report: A person" in str(refused(go, LEAD, keys[LEAD]))
    assert "has signed this report" in str(refused(go, LEAD, make_key(tmp_path, "other")))


def test_a_damaged_signature_makes_way(go, keys):
    """A role whose files are damaged signs again; the damaged ones are kept."""
    sign(go, LEAD, keys[LEAD], name="A person")
    (go / "signatures" / f"{LEAD}.json").write_text("{}")
    again = sign(go, LEAD, keys[LEAD], name="A person")
    assert (again.aside / f"{LEAD}.json").read_text() == "{}"


def test_hold_needs_a_reason(hold, keys):
    why = str(refused(hold, LEAD, keys[LEAD]))
    assert "the decision is HOLD" in why
    assert "--reason" in why
    assert "--reason" in str(refused(hold, LEAD, keys[LEAD], reason="  "))
    said = sign(hold, LEAD, keys[LEAD], name="A person", reason="seen").statement
    assert (said.decision, said.reason) == ("HOLD", "seen")
    assert "agree" not in said.meaning


def test_no_name(go, keys):
    assert "--name" in str(refused(go, LEAD, keys[LEAD], name=" "))


def test_broken_chain(go, keys):
    raw = (go / FILE).read_bytes()
    (go / FILE).write_bytes(raw.replace(b"small", b"prod1", 1))
    assert refused(go, LEAD, keys[LEAD]).code == 25


def test_altered_evidence(go, keys):
    next((go / "evidence").iterdir()).write_text("nothing to see")
    why = refused(go, LEAD, keys[LEAD])
    assert why.code == 25
    assert "was altered" in str(why)


def test_a_report_that_is_not_the_journals(go, project, keys):
    """The report of another change, and of an earlier state of this one."""
    earlier = (go / "signoff.html").read_bytes()
    shutil.copy(project / "deploygate-out" / "CHG-2" / "signoff.html", go)
    why = refused(go, LEAD, keys[LEAD])
    assert why.code == 25
    assert "signoff.html does not match the journal" in str(why)
    run_gate(project, "CHG-1")
    (go / "signoff.html").write_bytes(earlier)
    assert refused(go, LEAD, keys[LEAD]).code == 25


def test_a_report_of_another_version(go, keys, monkeypatch):
    monkeypatch.setattr("pytest_deploygate.__version__", "99.0")
    assert "sign with that version, or run again" in str(refused(go, LEAD, keys[LEAD]))


def test_a_run_without_decision(go, keys):
    """A killed run has no decision, even if an earlier one was GO."""
    writer = Writer(go)
    begin = dict(next(e.body for e in writer.entries if e.kind == "run"))
    writer.append(
        "run", {**{k: v for k, v in begin.items() if k not in ("seq", "prev", "at")}, "run": "killed"}
    )
    writer.close()
    results_again(go)
    assert "ended without a decision" in str(refused(go, LEAD, keys[LEAD]))


def test_while_a_run_writes(go, keys):
    with (go / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is writing to" in str(refused(go, LEAD, keys[LEAD]))
    sign(go, LEAD, keys[LEAD], name="A person")


def test_no_ssh_keygen(go, keys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "install OpenSSH" in str(refused(go, LEAD, keys[LEAD]))


def test_no_folder(tmp_path, keys):
    with pytest.raises(RefusedToSign, match="there is no folder"):
        sign(tmp_path / "nothing", LEAD, keys[LEAD], name="x")


def test_nothing_half_written_when_the_disk_is_full(go, keys, monkeypatch):
    """A failed write is reported, and a second try succeeds."""

    def full(*_args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        patched.setattr(ssh, "made_by", lambda *_: ssh.Made(key="SHA256:x"))
        with pytest.raises(RefusedToSign, match="No space left"):
            sign(go, LEAD, keys[LEAD], name="x")
    assert sign(go, LEAD, keys[LEAD], name="x").file.is_file()


def test_secrets_and_escapes_do_not_get_into_a_statement(go, keys):
    Secret("canary-in-a-reason", "test")
    said = sign(go, LEAD, keys[LEAD], name="A\x1b[31m person", reason="password canary-in-a-reason").statement
    stored = (go / "signatures" / f"{LEAD}.json").read_text()
    assert "canary" not in stored
    assert "\\u001b" not in stored
    assert "person" in said.name


def test_keys_with_a_passphrase_are_asked_for_by_ssh_keygen(go, tmp_path):
    """Without a terminal there is nobody to ask: refused without waiting."""
    key = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "words", "-f", key], check=True)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from pytest_deploygate.cli import main; main()",
            "sign",
            "--role",
            LEAD,
            "--key",
            key,
            "--out",
            go,
            "--name",
            "x",
        ],
        env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "could not sign" in done.stderr


def test_statements_are_plain_json(go, keys):
    sign(go, LEAD, keys[LEAD], name="Größe")
    plain = json.loads((go / "signatures" / f"{LEAD}.json").read_text())
    assert plain["name"] == "Größe"
    assert plain["schema"] == "deploygate-signoff/1"
    assert plain["at"].endswith("Z")


LOST = {
    "the folder": shutil.rmtree,
    "its folder, renamed": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "the journal": lambda folder: (folder / FILE).unlink(),
    "a line of the journal": lambda folder: os.truncate(folder / FILE, (folder / FILE).stat().st_size - 9),
    "the report": lambda folder: (folder / "signoff.html").write_text("another"),
    "evidence": lambda folder: next((folder / "evidence").iterdir()).unlink(),
    "the statement": lambda folder: (folder / "signatures" / f"{LEAD}.json").unlink(),
    "the signature": lambda folder: (folder / "signatures" / f"{LEAD}.json.sig").write_text(""),
}


@pytest.mark.parametrize("what", LOST)
def test_what_is_lost_while_it_is_signed_is_25(go, keys, monkeypatch, what):
    store = signing._store

    def stored(folder, *rest):
        file = store(folder, *rest)
        LOST[what](folder)
        return file

    monkeypatch.setattr(signing, "_store", stored)
    with pytest.raises(RefusedToSign) as caught:
        sign(go, LEAD, keys[LEAD], name="A person")
    assert caught.value.code == 25
    assert "while" in str(caught.value)
