"""Signatures on the live page: who has signed the record as it stands, and who must still."""

from __future__ import annotations

import shutil

import pytest
from small_change import ROLES

from pytest_deploygate.journal import Writer
from pytest_deploygate.report.live import page
from pytest_deploygate.report.live.following import Following
from pytest_deploygate.signoff.shown import Signatures
from pytest_deploygate.signoff.signing import sign

LEAD, TECH, OPS = ROLES


@pytest.fixture
def folder(signed):
    return signed.folder


def look(folder):
    seen = Following(folder).look()
    assert seen.change, seen.problem
    return Signatures(folder)(seen.change)


def test_all_have_signed(folder):
    found = look(folder)
    assert {role: one.good for role, one in found.items()} == dict.fromkeys(ROLES, True)
    assert found[LEAD].said.startswith("The deployment-lead on ")
    seen = Following(folder).look()
    shown = page.live(seen, seen.at, found)
    assert [(one.role, one.signature.good) for one in shown.signers] == [
        ("Deployment lead", True), ("Technical lead", True), ("Operations manager", True),
    ]  # fmt: skip


def test_nobody_has_signed_yet(folder):
    shutil.rmtree(folder / "signatures")
    assert look(folder) == {}


def flipped(folder):
    file = folder / "signatures" / f"{TECH}.json"
    file.write_bytes(file.read_bytes().replace(b"The technical", b"Mr technical"))


def other_report(folder):
    with (folder / "signoff.html").open("a") as file:
        file.write(" ")


def journal_went_on(folder):
    writer = Writer(folder)
    writer.append("note", {"text": "one more line"})
    writer.close()


def copied(folder):
    for end in (".json", ".json.sig"):
        shutil.copy(folder / "signatures" / f"{LEAD}{end}", folder / "signatures" / f"{TECH}{end}")


def no_statement(folder):
    (folder / "signatures" / f"{TECH}.json").unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flipped, "one of the two was changed"),
        (other_report, "another signoff.html than the one that is there"),
        (journal_went_on, "now; sign again"),
        (copied, "as deployment-lead for the change CHG-1"),
        (no_statement, "only one of technical-lead.json and its .sig"),
    ],
)
def test_a_signature_that_does_not_count_says_why(folder, damage, says):
    damage(folder)
    found = look(folder)[TECH]
    assert (found.good, says in found.said) == (False, True), found


def test_one_key_in_two_roles_counts_for_neither(folder, keys):
    shutil.rmtree(folder / "signatures")
    sign(folder, LEAD, keys[LEAD], name="A person")
    for end in (".json", ".json.sig"):  # signing itself refuses the second
        shutil.move(folder / "signatures" / f"{LEAD}{end}", folder.parent / f"kept{end}")
    sign(folder, TECH, keys[LEAD], name="Another person")
    for end in (".json", ".json.sig"):
        shutil.move(folder.parent / f"kept{end}", folder / "signatures" / f"{LEAD}{end}")
    found = look(folder)
    assert {found[role].good for role in (LEAD, TECH)} == {False}
    assert "signed as deployment-lead and as technical-lead" in found[LEAD].said
    assert OPS not in found
