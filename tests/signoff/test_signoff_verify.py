"""What verify finds: forged, replayed, truncated, untrusted, incomplete; and what it reports first."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from small_change import ROLES, allow, make_key, results_again, rewrite, run_gate

from pytest_deploygate.journal import FILE, Writer, read
from pytest_deploygate.model import Verdict
from pytest_deploygate.signoff import folder as folders
from pytest_deploygate.signoff import recorded, ssh
from pytest_deploygate.signoff.judge import judge
from pytest_deploygate.signoff.result import VerifyResult
from pytest_deploygate.signoff.signing import sign
from pytest_deploygate.signoff.statement import Statement, StatementError, parse, to_bytes
from pytest_deploygate.signoff.verify import verify

LEAD, TECH, OPS = ROLES


def own_statement(folder, role, key, /, **changed):
    """Sign a statement that `deploygate sign` would never write."""
    file = folder / "signatures" / f"{role}.json"
    said = dataclasses.replace(parse(file.read_bytes()), **changed)
    file.write_bytes(to_bytes(said))
    file.with_name(f"{role}.json.sig").write_bytes(ssh.sign(to_bytes(said), key))


def names(result):
    return [check.name for check in result.checks if check.ok is False]


def test_signed_by_all(signed):
    """Complete: exit 0, every signature trusted, and the item passes with a reading for each role."""
    result = verify(signed.folder, signed.allowed)
    assert (result.ok, result.exit_code, result.first, result.missing) == (True, 0, None, ())
    assert result.roles == ROLES
    assert (result.change, result.decision, result.scope) == ("CHG-1", "GO", "phase1")
    assert all(one.trusted and one.key.startswith("SHA256:") for one in result.signed)
    judgement = judge(result)
    assert judgement.verdict is Verdict.PASS
    assert [(r.name, r.ok) for r in judgement.readings] == [(role, True) for role in ROLES]


def test_signing_changed_nothing(signed, small):
    """Apart from the signatures the folder is byte for byte what the run left."""
    before = folders.take(small / "deploygate-out" / "CHG-1")
    after = folders.take(signed.folder)
    assert (after.journal, after.results, after.evidence) == (before.journal, before.results, before.evidence)


def test_a_moved_folder_verifies(signed, tmp_path):
    """The record is self-contained: it verifies elsewhere, with an external allowed-signers file."""
    elsewhere = shutil.copytree(signed.folder, tmp_path / "unpacked")
    assert verify(elsewhere, signed.allowed).ok


def test_nobody_signed(signed):
    """26, all roles named; the item is not covered, which is never a pass."""
    shutil.rmtree(signed.folder / "signatures")
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.missing, names(result)) == (26, ROLES, ["roles"])
    assert all(role in result.first.text for role in ROLES)
    assert judge(result).verdict is Verdict.NOT_COVERED


def test_one_role_missing(signed):
    for name in (f"{OPS}.json", f"{OPS}.json.sig"):
        (signed.folder / "signatures" / name).unlink()
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.missing) == (26, (OPS,))
    assert f"2 of 3 roles have signed; missing: {OPS}" in result.first.text
    assert judge(result).verdict is Verdict.FAIL


def test_roles_from_outside(signed):
    """A verifier may require more roles than the journal; an empty list requires none."""
    result = verify(signed.folder, signed.allowed, (*ROLES, "executive-sponsor"))
    assert (result.exit_code, result.missing) == (26, ("executive-sponsor",))
    assert verify(signed.folder, signed.allowed, ()).exit_code == 26


@pytest.mark.parametrize("half", [".json", ".json.sig"])
def test_half_a_signature(signed, half):
    (signed.folder / "signatures" / f"{TECH}{half}").unlink()
    result = verify(signed.folder, signed.allowed)
    assert result.exit_code == 26
    assert TECH in result.missing
    assert "missing" in result.first.text or "no signature beside it" in result.first.text


# --- the journal


def test_journal_cut_at_its_end(signed):
    """The chain of the remaining lines is valid and the results match: only the signed head shows the truncation."""
    path = signed.folder / FILE
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:-2]) + b"\n")
    results_again(signed.folder)
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.first.name) == (25, "signed head")
    assert "truncated: 5 of 6 lines are left" in result.first.text


def test_journal_rewritten_as_a_whole(signed):
    """Every hash recomputed and all results rendered again: only the signed head shows it."""

    def soften(body):
        for finding in body.get("findings", ()):
            finding["reason"] = "as good as gold"

    rewrite(signed.folder, soften)
    unsigned = [check for check in verify(signed.folder, signed.allowed).checks if check.name == "journal"]
    assert [check.ok for check in unsigned] == [True]
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.first.name) == (25, "signed head")
    assert "rewritten" in result.first.text
    assert not any(one.trusted for one in result.signed)


@pytest.mark.parametrize("where", ["first", "middle"])
def test_journal_line_taken_out(signed, where):
    path = signed.folder / FILE
    lines = path.read_bytes().split(b"\n")
    del lines[0 if where == "first" else 2]
    path.write_bytes(b"\n".join(lines))
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.first.name) == (25, "journal")
    assert "chain is broken" in result.first.text


def test_other_line_ends_in_the_journal(signed):
    path = signed.folder / FILE
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert verify(signed.folder, signed.allowed).exit_code == 25


def test_unfinished_last_line(signed):
    with (signed.folder / FILE).open("ab") as stream:
        stream.write(b'{"at":')
    result = verify(signed.folder, signed.allowed)
    assert "incomplete" in result.first.text
    assert result.exit_code == 25


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.update(findings=7),
        lambda body: body.update(checklist=[]),
        lambda body: body.update(run={"a": 1}),
        lambda body: body.update(decision="GO"),
    ],
)
def test_a_well_hashed_journal_of_nonsense(signed, spoil):
    """A forger may write anything: it ends as 25, not as a traceback."""
    entries, _ = read(signed.folder)
    (signed.folder / FILE).unlink()
    writer = Writer(signed.folder)
    for entry in entries:
        body = dict(entry.body)
        spoil(body)
        writer.append(entry.kind, {k: v for k, v in body.items() if k not in ("seq", "prev", "at", "kind")})
    writer.close()
    assert verify(signed.folder, signed.allowed).exit_code == 25


@pytest.mark.parametrize("gone", [FILE, "signoff.html", "verdicts.json", "junit.xml"])
def test_a_file_missing(signed, gone):
    (signed.folder / gone).unlink()
    result = verify(signed.folder, signed.allowed)
    assert result.exit_code == 25
    assert gone in result.first.text


def test_no_folder(tmp_path):
    result = verify(tmp_path / "nothing", None)
    assert (result.exit_code, result.ok) == (25, False)


# --- evidence and results


def test_evidence(signed):
    """Altered and missing files are distinguished and both listed; a file without a finding is a note."""
    first, second = sorted((signed.folder / "evidence").iterdir())
    first.write_bytes(first.read_bytes() + b" ")
    second.unlink()
    (signed.folder / "evidence" / "holiday.jpg").write_bytes(b"")
    result = verify(signed.folder, signed.allowed)
    texts = [check.text for check in result.checks if check.name == "evidence"]
    assert any(first.name in text and "was altered" in text for text in texts)
    assert any(second.name in text and "is missing" in text for text in texts)
    assert "evidence/holiday.jpg" in texts[-1]
    assert (result.first.name, result.exit_code) == ("evidence", 25)


def test_extra_evidence_alone_is_no_fault(signed):
    (signed.folder / "evidence" / "holiday.jpg").write_bytes(b"")
    result = verify(signed.folder, signed.allowed)
    assert result.ok
    assert any(check.ok is None and "holiday" in check.text for check in result.checks)


@pytest.mark.parametrize("path", ["../outside.json", "/etc/passwd", ""])
def test_evidence_outside_of_the_folder(signed, path):
    def point(body):
        for finding in body.get("findings", ()):
            finding["evidence"][0]["path"] = path

    rewrite(signed.folder, point)
    texts = [check.text for check in verify(signed.folder, signed.allowed).checks if check.name == "evidence"]
    assert any("outside the folder" in text for text in texts)


def test_report_altered(signed):
    """The sign-off document differs from the journal."""
    report = signed.folder / "signoff.html"
    report.write_text(report.read_text().replace("CHG-1", "CHG-9"))
    result = verify(signed.folder, signed.allowed)
    assert (result.first.name, result.exit_code) == ("report", 25)
    assert not any(one.trusted for one in result.signed)


def test_report_by_another_version(signed, monkeypatch):
    """Not rendered again; a change is still found through its signed digest."""
    monkeypatch.setattr("pytest_deploygate.__version__", "99.0")
    assert verify(signed.folder, signed.allowed).ok
    (signed.folder / "junit.xml").write_text("<testsuites/>")
    result = verify(signed.folder, signed.allowed)
    assert (result.first.name, result.exit_code) == ("junit.xml", 25)


def test_records_that_the_run_counted_with(signed, tmp_path):
    """Attestations and waivers in the journal are looked for in the repository."""
    root = tmp_path / "repository"
    (root / "waivers").mkdir(parents=True)
    (root / "waivers" / "one.yml").write_text("item: phase1.log-lines\n")
    digest = hashlib.sha256(b"item: phase1.log-lines\n").hexdigest()
    taken = folders.take(signed.folder)
    stands = recorded.read(taken)
    run = next(e for e in stands.entries if e.kind == "run")
    body = {**run.body, "records": {"waivers/one.yml": digest}}
    stands = dataclasses.replace(stands, entries=(dataclasses.replace(run, body=body),))
    assert [check.ok for check in recorded.records(stands, root)] == [True]
    assert [check.ok for check in recorded.records(stands, None)] == [None]
    (root / "waivers" / "one.yml").write_text("item: phase1.servers\n")
    assert [check.code for check in recorded.records(stands, root)] == [25]
    (root / "waivers" / "one.yml").unlink()
    assert "missing" in next(recorded.records(stands, root)).text
    os.mkfifo(root / "waivers" / "one.yml")  # nobody writes to it
    assert [check.code for check in recorded.records(stands, root)] == [25]


@pytest.mark.parametrize(
    ("verdict", "change", "wrong"),
    [
        ("attested", "unchanged", ""),
        ("attested", "altered", "was altered"),
        ("attested", "gone", "is missing"),
        ("fail", "altered", ""),  # the run reported it itself: the record is complete
    ],
)
def test_what_was_attested_with(signed, tmp_path, verdict, change, wrong):
    """A file that an attestation names by digest is checked again if the run relied on it."""
    root = tmp_path / "repository"
    (root / "attestations").mkdir(parents=True)
    (root / "audit.pdf").write_bytes(b"found nothing")
    digest = hashlib.sha256(b"found nothing").hexdigest()
    record = f"item: phase1.log-lines\nevidence:\n  - file: audit.pdf\n    sha256: {digest}\n".encode()
    (root / "attestations" / "one.yml").write_bytes(record)
    stands = recorded.read(folders.take(signed.folder))
    run = next(e for e in stands.entries if e.kind == "run")
    test = next(e for e in stands.entries if e.kind == "test")
    found = {
        **test.body["findings"][0],
        "item": "phase1.log-lines",
        "target": "attestation",
        "verdict": verdict,
    }
    named = {"attestations/one.yml": hashlib.sha256(record).hexdigest()}
    entries = (
        dataclasses.replace(run, body={**run.body, "records": named}),
        dataclasses.replace(test, body={**test.body, "findings": [found]}),
    )
    if change == "altered":
        (root / "audit.pdf").write_bytes(b"found something")
    if change == "gone":
        (root / "audit.pdf").unlink()
    (check,) = recorded.records(dataclasses.replace(stands, entries=entries), root)
    assert (check.ok, check.code) == (not wrong, 25 if wrong else 0)
    assert wrong in check.text


def test_the_issue_log_goes_on(signed, tmp_path):
    """A changed issue log is only reported; a record outside the repository is a failure."""
    stands = recorded.read(folders.take(signed.folder))
    run = next(e for e in stands.entries if e.kind == "run")

    def checked(named):
        body = {**run.body, "records": named}
        one = dataclasses.replace(stands, entries=(dataclasses.replace(run, body=body),))
        return [check.ok for check in recorded.records(one, tmp_path)]

    assert checked({"issues/CHG-1.yml": "0" * 64}) == [None]
    assert checked({"../../etc/passwd": "0" * 64}) == [False]
    assert checked(["waivers/one.yml"]) == [False]
    assert checked({}) == []


# --- after the signatures


def test_a_run_after_the_signatures_voids_them(signed):
    """A run writes a new report, which nobody signed: 26. The signed results are moved aside with their signatures."""
    report = (signed.folder / "signoff.html").read_bytes()
    run_gate(signed.project, "CHG-1")
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.first.name) == (26, "roles")
    assert result.missing == ROLES
    (aside,) = (signed.folder / "signatures" / "earlier").iterdir()
    assert (aside / "signoff.html").read_bytes() == report
    assert {file.name for file in aside.glob("*.sig")} == {f"{role}.json.sig" for role in ROLES}
    for role, key in signed.keys.items():
        sign(signed.folder, role, key, name=role)
    assert verify(signed.folder, signed.allowed).ok


def test_a_report_changed_behind_the_signatures(signed):
    """Without a run in between, signatures on another report are void: 26, and the reason names the run that began since."""
    kept = {file.name: file.read_bytes() for file in (signed.folder / "signatures").glob("*.*")}
    run_gate(signed.project, "CHG-1")
    for name, content in kept.items():
        (signed.folder / "signatures" / name).write_bytes(content)
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.first.name) == (26, "statement")
    assert "the report changed after it was signed: a run of phase1 began" in result.first.text
    assert result.missing == ROLES


def test_as_it_was_before_a_run(signed):
    """A run that checks the sign-off sees what was signed before it began."""
    writer = Writer(signed.folder)
    begin = next(e.body for e in writer.entries if e.kind == "run")
    writer.append(
        "run", {**{k: v for k, v in begin.items() if k not in ("seq", "prev", "at")}, "run": "later"}
    )
    writer.close()
    assert not verify(signed.folder, signed.allowed).ok
    assert verify(signed.folder, signed.allowed, before_run="later").ok
    assert not verify(signed.folder, signed.allowed, before_run=begin["run"]).ok


# --- forged statements


def test_replayed_from_another_change(signed, keys):
    """All signatures of CHG-2 in CHG-1's folder."""
    other = signed.project / "deploygate-out" / "CHG-2"
    for role, key in keys.items():
        sign(other, role, key, name=role)
    shutil.rmtree(signed.folder / "signatures")
    shutil.copytree(other / "signatures", signed.folder / "signatures")
    result = verify(signed.folder, signed.allowed)
    assert result.exit_code == 26
    assert "about the change 'CHG-2', here it is 'CHG-1'" in result.first.text


def test_one_roles_signature_under_another_name(signed):
    for suffix in (".json", ".json.sig"):
        shutil.copy(
            signed.folder / "signatures" / f"{LEAD}{suffix}", signed.folder / "signatures" / f"{TECH}{suffix}"
        )
    result = verify(signed.folder, signed.allowed)
    assert result.exit_code == 26
    assert TECH in result.missing
    assert "separate keys" in names(result)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"decision": "ROLLBACK", "reason": "x"}, "names the decision 'ROLLBACK'"),
        ({"scope": "the whole checklist"}, "names the scope"),
        ({"inventory": "prod"}, "about the inventory 'prod'"),
        ({"at": datetime(2020, 1, 1, tzinfo=UTC)}, "before the decision was taken"),
        ({"at": datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)}, "which is later than"),
        ({"report_sha256": "0" * 64}, "signoff.html is not the one that deployment-lead signed"),
        ({"journal_lines": 4}, "not the journal that deployment-lead signed"),
    ],
)
def test_a_statement_that_says_something_else(signed, changed, says):
    """Signed with the right key, but different from the journal."""
    own_statement(signed.folder, LEAD, signed.keys[LEAD], **changed)
    result = verify(signed.folder, signed.allowed)
    assert says in result.first.text
    assert LEAD in result.missing


def test_a_hold_signed_without_a_reason(project, keys):
    folder = project / "deploygate-out" / "CHG-3"
    sign(folder, LEAD, keys[LEAD], name="x", reason="seen, we repair tomorrow")
    own_statement(folder, LEAD, keys[LEAD], reason="")
    result = verify(folder, allow(project / "allowed_signers", keys), (LEAD,))
    assert "no reason is given" in result.first.text


def test_a_hold_signed_as_seen(project, keys):
    """It verifies, and all output shows that it is a HOLD."""
    folder = project / "deploygate-out" / "CHG-3"
    for role, key in keys.items():
        sign(folder, role, key, name=role, reason="seen")
    result = verify(folder, allow(project / "allowed_signers", keys))
    assert (result.exit_code, result.decision) == (0, "HOLD")
    assert "signed a HOLD as seen" in judge(result).reason


@pytest.mark.parametrize(
    "edit",
    [
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: raw + b"\n",
        lambda raw: raw + b"and more",
        lambda raw: b"\n" + raw,
        lambda raw: raw.rstrip(b"\n"),
        lambda raw: raw[:80] + raw[80:].replace(b"\n", b"", 1),
        lambda raw: raw + raw,
    ],
)
def test_armour_that_still_verifies_for_ssh_keygen(signed, edit):
    """Other line ends, trailing junk: refused, whatever ssh-keygen accepts."""
    file = signed.folder / "signatures" / f"{LEAD}.json.sig"
    file.write_bytes(edit(file.read_bytes()))
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.first.name) == (26, "armour")
    assert LEAD in result.missing


@pytest.mark.parametrize(
    "edit",
    [
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: raw + b"\n",
        lambda raw: b" " + raw,
        lambda raw: raw.replace(b'"role"', b'"role":"x","role"'),
        lambda raw: json.dumps(json.loads(raw), indent=1).encode(),
        lambda raw: raw.replace(b'"tool"', b'"extra":1,"tool"'),
        lambda _: b"[]",
        lambda _: b"null",
        lambda _: b"",
    ],
)
def test_a_statement_in_another_form(signed, edit):
    """One statement has one canonical form, even if somebody signs another."""
    file = signed.folder / "signatures" / f"{LEAD}.json"
    raw = edit(file.read_bytes())
    with pytest.raises(StatementError):
        parse(raw)
    file.write_bytes(raw)
    file.with_name(f"{LEAD}.json.sig").write_bytes(ssh.sign(raw, signed.keys[LEAD]))
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.first.name) == (26, "statement")
    assert LEAD in result.missing


def test_a_signature_for_another_purpose(signed):
    """A signature for the namespace `git` or `file` is not a sign-off signature."""
    file = signed.folder / "signatures" / f"{LEAD}.json"
    made = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", signed.keys[LEAD]],
        input=file.read_bytes(),
        capture_output=True,
        check=True,
    )
    file.with_name(f"{LEAD}.json.sig").write_bytes(made.stdout)
    result = verify(signed.folder, signed.allowed)
    assert result.exit_code == 26
    assert LEAD in result.missing


# --- trust


def test_no_allowed_signers(signed):
    """Valid in themselves, but from unknown keys: inconclusive, never a pass."""
    for allowed in (None, signed.project / "nowhere"):
        result = verify(signed.folder, allowed)
        assert (result.exit_code, result.first.name) == (26, "trust")
        assert "trust not established" in result.first.text
        assert judge(result).verdict is Verdict.INCONCLUSIVE


def test_allowed_signers_from_inside_the_folder(signed):
    """Also through a link from outside."""
    inside = signed.folder / "allowed_signers"
    shutil.copy(signed.allowed, inside)
    link = signed.project / "link"
    link.symlink_to(inside)
    for file in (inside, link):
        result = verify(signed.folder, file)
        assert result.exit_code == 26
        assert "trust not established" in result.first.text


def test_a_key_that_is_not_listed(signed, tmp_path):
    allow(signed.allowed, {**signed.keys, TECH: make_key(tmp_path, "other")})
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.missing) == (26, (TECH,))
    assert "is not listed for this role" in result.first.text
    assert judge(result).verdict is Verdict.FAIL


def test_a_key_that_is_listed_for_another_role(signed):
    """Two people who swap roles."""
    swapped = {LEAD: signed.keys[TECH], TECH: signed.keys[LEAD], OPS: signed.keys[OPS]}
    result = verify(signed.folder, allow(signed.allowed, swapped))
    assert (result.exit_code, result.missing) == (26, (LEAD, TECH))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ('valid-before="20250101"', "no longer allowed"),
        ('valid-after="20990101"', "not yet allowed"),
        ('namespaces="git"', "may not be used for deploygate-signoff"),
    ],
)
def test_a_key_that_may_not(signed, options, says):
    result = verify(signed.folder, allow(signed.allowed, signed.keys, options))
    assert (result.exit_code, result.missing) == (26, ROLES)
    assert says in result.first.text


def test_a_key_that_expired_after_it_signed(signed):
    """Refused now; valid as of a time given by the verifier; invalid for a signature made after its end."""
    now = datetime.now(UTC)
    end = now + timedelta(days=1)
    allow(signed.allowed, signed.keys, f'valid-before="{end:%Y%m%d%H%M%S}"')
    assert verify(signed.folder, signed.allowed).ok
    assert verify(signed.folder, signed.allowed, at=end + timedelta(days=30)).exit_code == 26
    assert verify(signed.folder, signed.allowed, at=end - timedelta(hours=1)).ok
    allow(signed.allowed, signed.keys, f'valid-before="{now - timedelta(days=1):%Y%m%d%H%M%S}"')
    assert verify(signed.folder, signed.allowed, at=now - timedelta(days=2)).exit_code == 26


def test_a_line_that_cannot_be_read(signed):
    """ssh-keygen ignores it; if it was the role's only one, the reason names it."""
    garbage = f"{LEAD} ssh-ed25519 garbage\n"
    text = signed.allowed.read_text()
    signed.allowed.write_text(garbage + text.split("\n", 1)[1])
    result = verify(signed.folder, signed.allowed)
    assert (result.exit_code, result.missing) == (26, (LEAD,))
    assert "line 1 cannot be read" in result.first.text


def test_one_key_in_two_roles(signed):
    """Even if the allowed-signers file lists it for both."""
    file = signed.folder / "signatures" / f"{TECH}.json"
    said = dataclasses.replace(parse((file.with_name(f"{LEAD}.json")).read_bytes()), role=TECH)
    file.write_bytes(to_bytes(said))
    file.with_name(f"{TECH}.json.sig").write_bytes(ssh.sign(to_bytes(said), signed.keys[LEAD]))
    both = allow(signed.allowed, {**signed.keys, TECH: signed.keys[LEAD]})
    result = verify(signed.folder, both)
    assert (result.exit_code, names(result)) == (26, ["separate keys"])
    assert result.missing == (LEAD, TECH)


def test_one_key_in_two_roles_through_certificates(signed, tmp_path):
    """Two certificates of one key are one key."""
    authority, key = make_key(tmp_path, "authority"), make_key(tmp_path, "person")
    for role in (LEAD, TECH):
        subprocess.run(
            ["ssh-keygen", "-q", "-s", authority, "-I", role, "-n", role, f"{key}.pub"], check=True
        )
        file = signed.folder / "signatures" / f"{role}.json"
        certificate = tmp_path / "person-cert.pub"
        made = subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-n", ssh.NAMESPACE, "-f", certificate],
            input=file.read_bytes(),
            capture_output=True,
            check=False,
        )
        if made.returncode != 0:
            shutil.copy(key, tmp_path / "person-cert")
            pytest.skip(f"this ssh-keygen does not sign with a certificate file: {made.stderr!r}")
        file.with_name(f"{role}.json.sig").write_bytes(made.stdout)
        certificate.rename(tmp_path / f"{role}-cert.pub")
    result = verify(signed.folder, signed.allowed)
    assert "separate keys" in names(result)


def test_a_role_that_there_is_not(signed, tmp_path):
    key = make_key(tmp_path, "stranger")
    for suffix in (".json", ".json.sig"):
        shutil.copy(
            signed.folder / "signatures" / f"{LEAD}{suffix}",
            signed.folder / "signatures" / f"deployment-leed{suffix}",
        )
    own_statement(signed.folder, "deployment-leed", key, role="deployment-leed")
    result = verify(signed.folder, signed.allowed)
    assert result.exit_code == 26
    assert any("did you mean 'deployment-lead'" in check.text for check in result.checks)


def test_without_ssh_keygen(signed, monkeypatch):
    """Signatures cannot be checked: 26, and other problems are still found."""
    ssh.made_by.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    result = verify(signed.folder, signed.allowed)
    assert result.exit_code == 26
    assert "there is no ssh-keygen" in result.first.text
    assert judge(result).verdict is not Verdict.PASS


def test_a_result_of_nothing_is_no_pass():
    """No check, no role: never ok."""
    nothing = VerifyResult("", "", "", "", "", (), (), ())
    assert not nothing.ok
    assert nothing.exit_code == 26
    assert judge(nothing).verdict is not Verdict.PASS


def test_a_statement_is_written_in_one_way(signed):
    raw = (signed.folder / "signatures" / f"{LEAD}.json").read_bytes()
    assert isinstance(parse(raw), Statement)
    assert to_bytes(parse(raw)) == raw
    assert raw.endswith(b"}\n")
