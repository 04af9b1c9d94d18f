"""`deploygate attest`, `waive` and `issues`, as typed: what is wrong is refused before anything is written."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from pytest_deploygate.checklist import attestations, issue_log, parser, waivers
from pytest_deploygate.cli import main
from pytest_deploygate.judge.attestations import Needed, judge
from pytest_deploygate.model import Verdict
from pytest_deploygate.probes.attestations import measure

CHECKLIST = """\
## Preflight {#preflight .security}
- [ ] Security audit completed {#sec.audit .manual role=security-lead}
- [ ] Penetration testing passed {#sec.pentest .critical .manual}
- [ ] Restore {#db.restore .critical .non-waivable}
- [ ] Pooling {#db.pooling}
## Phase 1 {#phase1}
- [ ] Logs {#phase1.logs}
- [ ] Document any issues {#phase1.issues .hybrid}
## Sign-off {.sign-off}
- [ ] Technical lead: ____
"""
ATTEST = {
    "--role": "Security lead",
    "--name": "The security lead",
    "--evidence": "reports/audit.pdf",
    "--valid-until": "90d",
}
WAIVE = {
    "--owner": "The database admin",
    "--approver": "The operations manager",
    "--reason": "the pooler is replaced next week",
    "--ticket": "OPS-17",
    "--expires": "7d",
}
SARIF = {
    "version": "2.1.0",
    "runs": [{"tool": {"driver": {"name": "scanner"}}, "results": []}],
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "checklist.md").write_text(CHECKLIST)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "audit.pdf").write_bytes(b"report")
    (tmp_path / "reports" / "scan.sarif").write_text(json.dumps(SARIF))
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "prod.yml").write_text("name: production\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command, item, options, **changed):
    given = {**options, **{f"--{key.replace('_', '-')}": value for key, value in changed.items()}}
    words = [
        word
        for key, value in given.items()
        if value is not None
        for word in ([key] if value is True else [key, value])
    ]
    items = item if isinstance(item, list) else [item] if item else []
    return CliRunner().invoke(main, [command, *items, *words])


def files(root, folder):
    return sorted(file.name for file in (root / folder).glob("*")) if (root / folder).exists() else []


def checklist(root):
    return parser.load(root / "suites" / "checklist.md")


def test_attest_writes_what_the_gate_takes(root):
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
        ("sec.audit", {"evidence": "https://u:p@wiki.example"}, "holds a user or password"),
        ("sec.audit", {"evidence": None}, "at least one file"),
        ("sec.audit", {"findings": "reports/audit.pdf"}, "is not JSON"),
        ("sec.audit", {"valid_until": "2021-07-07"}, "is over already"),
        ("sec.audit", {"valid_until": "2021-07-07T10:00:00Z"}, "is over already"),
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


def test_files_that_are_wrong_are_exit_4_as_in_a_run(root):
    assert run("attest", "sec.audit", ATTEST, checklist="none.md").exit_code == 4
    (root / "waivers").mkdir()
    (root / "waivers" / "a.yml").write_text("itm: x")
    done = run("waive", "db.pooling", WAIVE)
    assert done.exit_code == 4
    assert "waivers/a.yml:1: there is no key 'itm'" in done.output


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


def test_waive_writes_what_the_gate_takes(root):
    done = run("waive", "db.pooling", WAIVE, target="pool*", change="CHG-1")
    assert done.exit_code == 0, done.output
    assert "from then on it fails unless it is mended" in done.output
    (one,) = waivers.load_all(root, checklist(root))
    assert one.covers("db.pooling", "pool1", "any", "CHG-1")
    assert one.expires - one.created == timedelta(days=7)
    told = json.loads(run("waive", "sec.pentest", WAIVE, json=True).output)
    assert told["file"].startswith("waivers/sec.pentest--")


@pytest.mark.parametrize(
    ("item", "changed", "says"),
    [
        ("db.poling", {}, "did you mean 'db.pooling'?"),
        ("db.restore", {}, "is marked .non-waivable"),
        ("db.pooling", {"approver": "the DATABASE admin"}, "another person must approve"),
        ("db.pooling", {"reason": "later"}, "at least 15 characters"),
        ("db.pooling", {"ticket": "TBD"}, "is a placeholder"),
        ("db.pooling", {"expires": "91d"}, "90 d is the longest"),
        ("db.pooling", {"cap": "0"}, "0 waivers may be active at once"),
    ],
)
def test_waive_refuses(root, item, changed, says):
    done = run("waive", item, WAIVE, **changed)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
    assert files(root, "waivers") == []


def test_waive_the_same_again(root):
    assert run("waive", "db.pooling", WAIVE).exit_code == 0
    done = run("waive", "db.pooling", WAIVE)
    assert "change that file instead" in " ".join(done.output.split())
    assert len(files(root, "waivers")) == 1


def item(item_id, verdict, targets=(), **changed):
    return {
        "id": item_id, "phase": "phase1", "verdict": verdict, "severity": "major", "reason": f"{verdict} it is",
        "in_scope": True, "targets": [
            {"target": t, "verdict": v, "reason": f"{t} {v}", "deferred_to": d} for t, v, d in targets
        ], **changed,
    }  # fmt: skip


@pytest.fixture
def verdicts(root):
    items = [
        item("phase1.logs", "fail", [("web1", "fail", ""), ("web2", "pass", ""), ("web3", "inconclusive", "phase4")]),
        item("phase1.issues", "fail"),
        item("db.pooling", "not_covered", [("a", "pass", "")], phase="preflight"),
        item("db.restore", "pass", phase="preflight"),
        item("sec.audit", "not_covered", phase="preflight", in_scope=False),
    ]  # fmt: skip
    folder = root / "deploygate-out" / "CHG-1"
    folder.mkdir(parents=True)
    (folder / "verdicts.json").write_text(json.dumps({"items": items}))
    return root


def listed(**changed):
    done = run("issues", "", {"--change": "CHG-1", "--json": True}, **changed)
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_issues_lists_what_has_no_entry(verdicts):
    told = listed()
    assert [(one["item"], one["target"], one["verdict"]) for one in told["missing"]] == [
        ("phase1.logs", "web1", "fail"),
        ("db.pooling", "", "not_covered"),
    ]
    assert [one["item"] for one in listed(phase="phase1")["missing"]] == ["phase1.logs"]
    done = run("issues", "", {"--change": "CHG-1"})
    assert "2 are without an entry in issues/CHG-1.yml; --write adds stubs" in done.output
    assert files(verdicts, "issues") == []


def test_issues_writes_stubs_which_are_then_to_be_completed(verdicts):
    assert listed(write=True)["written"] == 2
    again = listed(write=True)
    assert (again["missing"], again["written"]) == ([], 0)
    assert [one["fill_in"] for one in again["incomplete"]] == [["owner", "decision"]] * 2
    path = verdicts / "issues" / "CHG-1.yml"
    path.write_text(
        path.read_text()
        .replace("owner: TODO", "owner: The ops lead")
        .replace("decision: TODO", "decision: fix")
    )
    log = issue_log.load(verdicts, "CHG-1", checklist(verdicts))
    assert [entry.incomplete for entry in log.entries] == [(), ()]
    assert "everything that is not green has its entry" in run("issues", "", {"--change": "CHG-1"}).output


def test_issues_closed_too_early(verdicts):
    listed(write=True)
    path = verdicts / "issues" / "CHG-1.yml"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    path.write_text(path.read_text().replace("decision: TODO", f"decision: fix\n  closed: {now}"))
    assert [one["item"] for one in listed()["closed_but_not_green"]] == ["phase1.logs", "db.pooling"]
    assert "open the entry again" in run("issues", "", {"--change": "CHG-1"}).output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"--change": "CHG-2"}, "first"),
        ({"--change": "../x"}, "use letters"),
        ({"--change": "CHG-1", "--phase": "phase11"}, "did you mean 'phase1'?"),
    ],
)
def test_issues_refuses(verdicts, options, says):
    done = run("issues", "", options)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


def test_issues_says_what_is_wrong_in_the_log(verdicts):
    (verdicts / "issues").mkdir()
    (verdicts / "issues" / "CHG-1.yml").write_text("- itm: x\n")
    done = run("issues", "", {"--change": "CHG-1"})
    assert done.exit_code == 4
    assert "issues/CHG-1.yml:1: there is no key 'itm'" in done.output


@pytest.mark.parametrize("command", ["attest", "waive", "issues"])
def test_help_shows_examples(command):
    done = CliRunner().invoke(main, [command, "--help"])
    assert f"deploygate {command} " in done.output
    assert "\n  deploygate " in done.output


def test_an_item_of_a_teams_own_that_no_test_is_bound_to_is_attested(root):
    """The run asks for that attestation, so the command writes it; a bound one it refuses as before."""
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
