"""An attestation counts if role, time, evidence, signature and findings are right; each failure has its own reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checklist.vocabulary import Attestation, Backing, FindingsFile
from pytest_deploygate.checks.people.facts import (
    AttestationSeen,
    AttestationsSeen,
    BackingSeen,
    OpenResult,
    SarifSeen,
    SignatureSeen,
)
from pytest_deploygate.checks.people.judge.attestations import Needed, judge
from pytest_deploygate.model import Item, Kind, Severity, Verdict

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
A, B = "a" * 64, "b" * 64
FILE = Backing(file="reports/audit.pdf", sha256=A)
SAID = Attestation(
    file="attestations/one.yml",
    sha256=B,
    item="sec.audit",
    role="security-lead",
    name="The security lead",
    meaning="Security audit completed",
    at=NOW - timedelta(days=3),
    valid_until=NOW + timedelta(days=60),
    evidence=(FILE,),
)
GOOD = AttestationSeen(SAID, (BackingSeen(FILE, found=A),), SignatureSeen("none"))
NEEDED = Needed("sec.audit", ("security-lead",))
SCAN = FindingsFile("reports/scan.sarif", A)


def seen(*attestations):
    return AttestationsSeen("sec.audit", "CHG-1", "prod", NOW, attestations)


def said(one=GOOD, **changed):
    return replace(one, attestation=replace(one.attestation, **changed))


def with_file(**changed):
    return replace(GOOD, evidence=(replace(GOOD.evidence[0], **changed),))


def with_url(sha256="", **changed):
    backing = Backing(url="https://wiki.example/a", sha256=sha256)
    return replace(GOOD, evidence=(BackingSeen(backing, **changed),))


def with_scan(**changed):
    facts = {"file": "reports/scan.sarif", "tools": ("scanner 1",), **changed}
    backing = BackingSeen(Backing(file=SCAN.file, sha256=A), found=A)
    return said(replace(GOOD, evidence=(backing,), findings=SarifSeen(**facts)), findings=SCAN)


OPEN = {"open": {"error": 2}, "examples": (OpenResult("SQLI", "error", "query from input", "app.py:3"),)}


def test_a_good_one_is_attested_and_shows_who_when_until_and_on_what():
    judged = judge(seen(GOOD), NEEDED)
    assert judged.verdict is Verdict.ATTESTED
    assert "The security lead (security-lead) attests: Security audit completed" in judged.reason
    shown = {reading.name: reading.value for reading in judged.readings}
    assert shown == {
        "attested by": "The security lead (security-lead)",
        "attested at": "2026-03-01T12:00:00Z",
        "valid until": "2026-05-03T12:00:00Z",
        "evidence reports/audit.pdf": A,
        "signature": "none",
    }


def test_nobody_is_not_covered_with_the_command_to_type():
    judged = judge(seen(), NEEDED)
    assert judged.verdict is Verdict.NOT_COVERED
    assert "`deploygate attest sec.audit --role security-lead --name NAME" in judged.reason


@pytest.mark.parametrize(
    ("one", "verdict", "says"),
    [
        (said(valid_until=NOW), Verdict.FAIL, "expired on 2026-03-04T12:00:00Z"),
        (said(valid_until=NOW - timedelta(days=9)), Verdict.FAIL, "9 d ago"),
        (said(at=NOW + timedelta(hours=1)), Verdict.FAIL, "which is in the future"),
        (said(role="technical-lead"), Verdict.FAIL, "attested in the role technical-lead, but sec.audit must be"),
        (with_file(found=B), Verdict.FAIL, f"its SHA-256 was {A} and is {B} now"),
        (with_file(found="", missing=True), Verdict.FAIL, f"reports/audit.pdf (SHA-256 {A}) of attestations/one.yml is missing"),
        (with_file(found="", problem="cannot be read: Permission denied"), Verdict.INCONCLUSIVE, "Permission denied"),
        (replace(GOOD, evidence=()), Verdict.FAIL, "names no evidence"),
        (replace(GOOD, changed=True), Verdict.FAIL, "was changed during this run"),
        (replace(GOOD, signature=SignatureSeen("bad", detail="x")), Verdict.FAIL, "changed after signing"),
        (replace(GOOD, signature=SignatureSeen("unlisted")), Verdict.FAIL, "lists neither for security-lead"),
        (with_url(status=404), Verdict.FAIL, "does not exist (HTTP 404)"),
        (with_url(status=500), Verdict.INCONCLUSIVE, "answered 500"),
        (with_url(problem="did not answer: ConnectionError"), Verdict.INCONCLUSIVE, "ConnectionError"),
        (with_url(sha256=A, status=200, found=B), Verdict.FAIL, f"was {A} and is {B}"),
        (with_url(sha256=A, status=403), Verdict.INCONCLUSIVE, "answered 403"),
        (with_scan(**OPEN), Verdict.FAIL, "2 at error open"),
        (with_scan(problem="is not JSON in UTF-8"), Verdict.INCONCLUSIVE, "is not JSON"),
    ],
)  # fmt: skip
def test_each_wrong_thing_has_its_reason(one, verdict, says):
    judged = judge(seen(one), NEEDED)
    assert judged.verdict is verdict
    assert says in judged.reason


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (with_url(asked=False), "was not fetched"),
        (with_url(status=401), "requires a login"),
        (replace(GOOD, signature=SignatureSeen("unchecked", detail="no file")), "trust is not established"),
        (said(valid_until=NOW + timedelta(days=2)), "expires in 2 d"),
    ],
)
def test_what_is_worth_a_note(one, says):
    judged = judge(seen(one), NEEDED)
    assert judged.verdict is Verdict.ATTESTED
    assert says in "\n".join(judged.notes)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("good", Verdict.ATTESTED),
        ("none", Verdict.FAIL),
        ("unchecked", Verdict.INCONCLUSIVE),
        ("bad", Verdict.FAIL),
    ],
)
def test_where_a_signature_is_asked_for(state, verdict):
    one = replace(GOOD, signature=SignatureSeen(state, GOOD.attestation.role))
    assert judge(seen(one), replace(NEEDED, signed=True)).verdict is verdict


def test_a_signature_for_the_name_is_none_for_the_role():
    one = replace(GOOD, signature=SignatureSeen("good", GOOD.attestation.name))
    assert judge(seen(one), NEEDED).verdict is Verdict.ATTESTED
    judged = judge(seen(one), replace(NEEDED, signed=True))
    assert judged.verdict is Verdict.FAIL
    assert f"not for {GOOD.attestation.role}" in judged.reason


def test_two_sides_with_one_key_are_one_person():
    both = Needed("sec.audit", ("security-lead", "technical-lead"))
    other = said(role="technical-lead", name="The technical lead", file="attestations/two.yml")
    mine, theirs = (
        replace(a, signature=SignatureSeen("good", a.attestation.role, key="SHA256:a")) for a in (GOOD, other)
    )
    judged = judge(seen(mine, theirs), both)
    assert judged.verdict is Verdict.FAIL
    assert "the key SHA256:a" in judged.reason


def test_an_attestation_that_does_not_count_is_named():
    judged = judge(replace(seen(), aside=("attestations/a.yml does not count: uncommitted",)), NEEDED)
    assert judged.verdict is Verdict.NOT_COVERED
    assert judged.reason == "attestations/a.yml does not count: uncommitted"


def test_a_clean_scan_backs_it_and_its_counts_are_shown():
    judged = judge(seen(with_scan()), NEEDED)
    assert judged.verdict is Verdict.ATTESTED
    assert [r.value for r in judged.readings if r.name == "open at error"] == [0]


def test_the_newest_valid_one_counts_and_older_ones_are_notes():
    old = said(file="attestations/old.yml", valid_until=NOW - timedelta(days=1), at=NOW - timedelta(days=90))
    judged = judge(seen(old, GOOD), NEEDED)
    assert judged.verdict is Verdict.ATTESTED
    assert "attestations/old.yml does not count: the attestation" in judged.notes[0]


def test_a_newer_scan_with_findings_is_not_undone_by_an_older_clean_one():
    older = said(with_scan(), at=NOW - timedelta(days=20))
    assert judge(seen(older, with_scan(**OPEN)), NEEDED).verdict is Verdict.FAIL
    newer = said(with_scan(), at=NOW - timedelta(hours=1))
    assert judge(seen(newer, with_scan(**OPEN)), NEEDED).verdict is Verdict.ATTESTED


@pytest.mark.parametrize(
    ("key", "value", "counts"),
    [("change", "CHG-1", True), ("change", "CHG-2", False), ("inventory", "prod", True), ("inventory", "lab", False)],
)  # fmt: skip
def test_scope(key, value, counts):
    judged = judge(seen(said(**{key: value})), NEEDED)
    assert (judged.verdict is Verdict.ATTESTED) is counts
    assert counts or (judged.verdict is Verdict.NOT_COVERED and value in judged.notes[0])


def test_any_role_will_do_where_none_is_asked_for():
    assert judge(seen(GOOD), Needed("sec.audit")).verdict is Verdict.ATTESTED


def test_two_sides_must_both_attest_and_be_two_people():
    both = Needed("sec.audit", ("security-lead", "technical-lead"))
    other = said(role="technical-lead", name="The technical lead", file="attestations/two.yml")
    assert judge(seen(GOOD, other), both).verdict is Verdict.ATTESTED
    missing = judge(seen(GOOD), both)
    assert missing.verdict is Verdict.NOT_COVERED
    assert "nobody in the role technical-lead" in missing.reason
    same = judge(seen(GOOD, said(role="technical-lead", name="the SECURITY lead")), both)
    assert same.verdict is Verdict.FAIL
    assert "must be different people" in same.reason


def test_an_item_says_what_it_needs():
    item = Item("x.y", "t", "p", Severity.MAJOR, Kind.MANUAL, role="technical-lead")
    assert Needed.by(item, signed=True) == Needed("x.y", ("technical-lead",), signed=True)
