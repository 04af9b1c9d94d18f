"""`deploygate attest`, as typed: invalid input is rejected before anything is written."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import timedelta

import pytest
from small_repository import checklist, files, run

from pytest_deploygate.checklist import attestations
from pytest_deploygate.checks.people.judge.attestations import Needed, judge
from pytest_deploygate.checks.people.probe.attestations import measure
from pytest_deploygate.model import Verdict

ATTEST = {
    "--role": "Security lead",
    "--name": "The security lead",
    "--evidence": "reports/audit.pdf",
    "--valid-until": "90d",
}


def test_attest_writes_what_the_gate_accepts(root):
    done = run("attest", "sec.audit", ATTEST)
    assert done.exit_code == 0, done.output
    assert "wrote attestations/sec.audit--security-lead--" in done.output
    assert "open a pull request" in done.output
    (one,) = attestations.load_all(root, checklist(root))
    assert one.evidence[0].sha256 == hashlib.sha256(b"report").hexdigest()
    assert one.valid_until - one.at == timedelta(days=90)
    seen = measure(root, "sec.audit", [one], change="x", inventory="y")
    assert judge(seen, Needed("sec.audit", ("security-lead",))).verdict is Verdict.ATTESTED


def test_attest_twice_a_day_keeps_both(root):
    assert run("attest", "sec.audit", ATTEST).exit_code == 0
    assert run("attest", "sec.audit", ATTEST, name="Somebody else in that role").exit_code == 0
    assert len(files(root, "attestations")) == 2


def test_attest_several_items_in_one_call(root):
    any_role = {**ATTEST, "--role": "technical-lead"}
    done = run("attest", ["sec.pentest", "phase1.issues", "sec.pentest"], any_role)
    assert done.exit_code == 0, done.output
    assert done.output.count("is attested by") == 2
    assert "they count once they are merged" in done.output
    found = attestations.load_all(root, checklist(root))
    assert [(a.item, a.meaning) for a in found] == [
        ("phase1.issues", "Document any issues"),
        ("sec.pentest", "Penetration testing passed"),
    ]
    told = json.loads(run("attest", ["sec.pentest", "phase1.issues"], any_role, json=True).output)
    assert [one["item"] for one in told] == ["sec.pentest", "phase1.issues"]


@pytest.mark.parametrize("wrong", ["sec.audit", "db.pooling", "no.such"])
def test_attest_of_several_items_writes_all_or_none(root, wrong):
    done = run("attest", ["sec.pentest", wrong], {**ATTEST, "--role": "technical-lead"})
    assert done.exit_code != 0
    assert wrong in done.output
    assert files(root, "attestations") == []


def test_attest_of_several_items_that_cannot_be_signed_leaves_nothing(root, tmp_path):
    done = run(
        "attest", ["sec.pentest", "phase1.issues"], {**ATTEST, "--role": "technical-lead"}, key="no-such-key"
    )
    assert done.exit_code == 1
    assert "nothing was written" in done.output
    assert files(root, "attestations") == []


def test_attest_with_everything(root):
    done = run(
        "attest", "sec.audit", ATTEST, findings="reports/scan.sarif", allowed="note", inventory="prod",
        change="CHG-1", meaning="the audit of this version", valid_until="2999-01-01", json=True,
    )  # fmt: skip
    told = json.loads(done.output)
    assert (told["item"], told["valid_until"]) == ("sec.audit", "2999-01-01T23:59:59Z")
    (one,) = attestations.load_all(root, checklist(root))
    assert (one.change, one.inventory, one.meaning) == ("CHG-1", "production", "the audit of this version")
    assert one.findings is not None
    assert one.findings.allowed == "note"
    assert told["file"] == one.file


def test_attest_from_a_folder_below(root, monkeypatch):
    monkeypatch.chdir(root / "reports")
    assert run("attest", "sec.audit", ATTEST, evidence="audit.pdf").exit_code == 0
    assert attestations.load_all(root, checklist(root))[0].evidence[0].file == "reports/audit.pdf"


@pytest.mark.parametrize(
    ("item", "changed", "says"),
    [
        ("sec.audits", {}, "did you mean 'sec.audit'?"),
        ("db.pooling", {}, "db.pooling is automated"),
        ("sec.audit", {"role": "Securty lead"}, "did you mean 'security-lead'?"),
        ("sec.audit", {"role": "technical-lead"}, "must be attested by security-lead"),
        ("sec.audit", {"name": "TODO"}, "is a placeholder"),
        ("sec.audit", {"evidence": "reports/none.pdf"}, "there is no such file"),
        ("sec.audit", {"evidence": "/etc/passwd"}, "is not below"),
        ("sec.audit", {"evidence": "https://u:p@wiki.example"}, "contains a user or password"),
        ("sec.audit", {"evidence": None}, "at least one file"),
        ("sec.audit", {"findings": "reports/audit.pdf"}, "is not JSON"),
        ("sec.audit", {"valid_until": "2021-07-07"}, "is in the past"),
        ("sec.audit", {"valid_until": "2021-07-07T10:00:00Z"}, "is in the past"),
        ("sec.audit", {"valid_until": "2999-02-30"}, "does not exist in the calendar"),
        ("sec.audit", {"valid_until": "next week"}, "or a date such as"),
        ("sec.audit", {"inventory": "producton"}, "did you mean 'production'?"),
        ("sec.audit", {"change": "../x"}, "use letters"),
    ],
)  # fmt: skip
def test_attest_refuses(root, item, changed, says):
    done = run("attest", item, ATTEST, **changed)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
    assert files(root, "attestations") == []


def test_attest_signs(root):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / "key"], check=True)
    public = (root / "key.pub").read_text().split()[:2]
    (root / "allowed_signers").write_text(f"security-lead {' '.join(public)}\n")
    assert run("attest", "sec.audit", ATTEST, key=str(root / "key")).exit_code == 0
    (one,) = attestations.load_all(root, checklist(root))
    seen = measure(root, "sec.audit", [one], change="x", inventory="y")
    assert seen.attestations[0].signature.state == "good"


def test_attest_that_cannot_be_signed_leaves_nothing(root):
    done = run("attest", "sec.audit", ATTEST, key=str(root / "none"))
    assert done.exit_code == 1
    assert "could not be signed" in done.output
    assert files(root, "attestations") == []


def test_an_item_of_your_own_checklist_without_a_test_can_be_attested(root):
    """A run requires that attestation, so the command writes it; an item with a test is still refused."""
    (root / "suites" / "checklist.md").write_text(
        "## Switch\n- [ ] Stop the old system {#own.stop}\n- [ ] Start {#own.start}\n"
        "## Sign-off\n- [ ] Security lead: ____\n"
    )
    (root / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    (root / "suites" / "test_start.py").write_text(
        "import pytest\n\n@pytest.mark.item('own.start')\ndef test_start(gate): ...\n"
    )
    done = run("attest", "own.stop", ATTEST)
    assert done.exit_code == 0, done.output
    assert len(files(root, "attestations")) == 1
    assert "own.start is automated" in run("attest", "own.start", ATTEST).output
