"""Signatures on the live page: who has signed the record as it stands, and who must still."""

from __future__ import annotations

import shutil

import pytest
from small_change import ROLES, allow

from pytest_deploygate.journal import Writer
from pytest_deploygate.report.live import page
from pytest_deploygate.report.live.following import Following
from pytest_deploygate.report.live.page import Sign
from pytest_deploygate.signoff.shown import Signatures
from pytest_deploygate.signoff.signing import sign

LEAD, TECH, OPS = ROLES


@pytest.fixture
def folder(signed):
    return signed.folder


def look(folder, allowed=None):
    seen = Following(folder).look()
    assert seen.change, seen.problem
    return Signatures(folder, allowed or folder.parents[1] / "allowed_signers")(seen.change)


def test_all_have_signed(folder):
    found = look(folder)
    assert {role: one.sign for role, one in found.items()} == dict.fromkeys(ROLES, Sign.GOOD)
    assert found[LEAD].said.startswith("The deployment-lead on ")
    seen = Following(folder).look()
    shown = page.live(seen, seen.at, found)
    assert [(one.role, one.signature.sign) for one in shown.signers] == [
        ("Deployment lead", Sign.GOOD), ("Technical lead", Sign.GOOD), ("Operations manager", Sign.GOOD),
    ]  # fmt: skip


def test_nobody_has_signed_yet(folder):
    shutil.rmtree(folder / "signatures")
    assert look(folder) == {}


def test_a_key_that_may_not_sign_is_never_shown_as_signed(folder, keys, tmp_path):
    swapped = allow(tmp_path / "swapped", {LEAD: keys[TECH], TECH: keys[TECH], OPS: keys[OPS]})
    found = look(folder, swapped)
    assert [found[role].sign for role in ROLES] == [Sign.BAD, Sign.GOOD, Sign.GOOD]
    assert "the key is not listed for this role in swapped" in found[LEAD].said
    swapped.write_text("")
    assert {one.sign for one in look(folder, swapped).values()} == {Sign.BAD}, "the file is read again"


def test_without_allowed_signers_from_outside_no_key_is_known(folder, keys, tmp_path):
    assert {one.sign for one in look(folder, tmp_path / "absent").values()} == {Sign.UNKNOWN}
    found = look(folder, allow(folder / "allowed_signers", keys))
    assert {one.sign for one in found.values()} == {Sign.UNKNOWN}
    assert "is inside the folder, so it vouches for nobody" in found[LEAD].said


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
    assert (found.sign, says in found.said) == (Sign.BAD, True), found


def test_one_key_in_two_roles_counts_for_neither(folder, keys):
    shutil.rmtree(folder / "signatures")
    sign(folder, LEAD, keys[LEAD], name="A person")
    for end in (".json", ".json.sig"):  # signing itself refuses the second
        shutil.move(folder / "signatures" / f"{LEAD}{end}", folder.parent / f"kept{end}")
    sign(folder, TECH, keys[LEAD], name="Another person")
    for end in (".json", ".json.sig"):
        shutil.move(folder.parent / f"kept{end}", folder / "signatures" / f"{LEAD}{end}")
    found = look(folder)
    assert {found[role].sign for role in (LEAD, TECH)} == {Sign.BAD}
    assert "signed as deployment-lead and as technical-lead" in found[LEAD].said
    assert OPS not in found
