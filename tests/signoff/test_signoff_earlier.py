"""Signatures that were moved aside are verified too: against the journal as it was when they were made."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
from small_change import ROLES, allow, make_key, run_gate

from pytest_deploygate.signoff import ssh
from pytest_deploygate.signoff.signing import sign
from pytest_deploygate.signoff.statement import parse, to_bytes
from pytest_deploygate.signoff.verify import verify


@pytest.fixture(scope="module")
def signed_twice(small, all_signed, keys, tmp_path_factory):
    """A project in which CHG-1 was signed by all roles, run again, and signed again."""
    project = shutil.copytree(small, tmp_path_factory.mktemp("twice") / "project")
    folder = project / "deploygate-out" / "CHG-1"
    shutil.copytree(all_signed, folder, dirs_exist_ok=True)
    run_gate(project, "CHG-1")
    for role, key in keys.items():
        sign(folder, role, key, name=role)
    allow(project / "allowed_signers", keys)
    return project


@pytest.fixture
def twice(signed_twice, tmp_path):
    """A copy of it, and its folder of earlier signatures."""
    project = shutil.copytree(signed_twice, tmp_path / "project")
    folder = project / "deploygate-out" / "CHG-1"
    (group,) = (folder / "signatures" / "earlier").iterdir()
    return folder, project / "allowed_signers", group


def test_what_was_signed_then_is_valid(twice):
    folder, allowed, _ = twice
    result = verify(folder, allowed)
    assert result.ok, result.first
    assert any(c.name == "earlier" and "3 earlier signatures are valid" in c.text for c in result.checks)


def _again(file, key, **changed):
    """Change a statement and sign it with a key."""
    raw = to_bytes(dataclasses.replace(parse(file.read_bytes()), **changed))
    file.write_bytes(raw)
    file.with_name(f"{file.name}.sig").write_bytes(ssh.as_stored(ssh.sign(raw, key)))


def _flip(file):
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


CHANGES = {
    "a statement": (lambda g, _: _flip(g / f"{ROLES[0]}.json"), 26),
    "a signature": (lambda g, _: _flip(g / f"{ROLES[0]}.json.sig"), 26),
    "a statement without its signature": (lambda g, _: (g / f"{ROLES[0]}.json.sig").unlink(), 26),
    "a signature without its statement": (lambda g, _: (g / f"{ROLES[0]}.json").unlink(), 26),
    "another name in it": (lambda g, _: (g / f"{ROLES[0]}.json").rename(g / "sponsor.json"), 26),
    "another decision, signed": (lambda g, k: _again(g / f"{ROLES[0]}.json", k[ROLES[0]], decision="HOLD", reason="x"), 26),
    "another report, signed": (lambda g, k: _again(g / f"{ROLES[0]}.json", k[ROLES[0]], report_sha256="0" * 64), 25),
    "another journal, signed": (lambda g, k: _again(g / f"{ROLES[0]}.json", k[ROLES[0]], journal_head="0" * 64), 25),
    "another role's key": (lambda g, k: _again(g / f"{ROLES[0]}.json", k[ROLES[2]]), 26),
    "the results beside it": (lambda g, _: _flip(g / "signoff.html"), 25),
    "a result that was signed, away": (lambda g, _: (g / "junit.xml").unlink(), 25),
    "results that nobody signed": (lambda g, _: [f.unlink() for f in g.glob("*-*.json*")], 25),
    "another folder": (lambda g, _: g.rename(g.with_name("0" * 12)), 26),
    "something else there": (lambda g, _: (g / "note.txt").write_text("x"), 26),
    "a folder in it": (lambda g, _: shutil.copytree(g, g / "inner"), 26),
    "the signatures of now, too": (
        lambda g, _: [shutil.copy(f, g) for f in g.parents[1].glob(f"{ROLES[0]}.json*")], 25),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_since_is_found(twice, keys, what):
    folder, allowed, group = twice
    change, code = CHANGES[what]
    change(group, keys)
    result = verify(folder, allowed)
    assert result.exit_code == code, result.first
    assert result.first.name == "earlier", result.first


def test_a_key_must_have_been_allowed_then(twice, keys, tmp_path):
    """Somebody who left may have signed; somebody who was never allowed may not."""
    folder, allowed, group = twice
    said = json.loads((group / f"{ROLES[0]}.json").read_bytes())
    other = make_key(tmp_path, "other")
    _again(group / f"{ROLES[0]}.json", other)
    result = verify(folder, allowed)
    assert (result.exit_code, result.first.name) == (26, "earlier")
    assert said["role"] in result.first.text
    left = allow(
        tmp_path / "left", {ROLES[0]: other}, 'namespaces="deploygate-signoff",valid-before="20990101"'
    )
    both = tmp_path / "both"
    both.write_text(allowed.read_text() + left.read_text())
    assert verify(folder, both).ok
    past = allow(
        tmp_path / "past", {ROLES[0]: other}, 'namespaces="deploygate-signoff",valid-before="20200101"'
    )
    both.write_text(allowed.read_text() + past.read_text())
    assert verify(folder, both).exit_code == 26


def test_what_is_not_valid_is_not_kept_as_an_earlier_signature(signed):
    """A damaged signature makes way, and the folder verifies again."""
    role = ROLES[0]
    _flip(signed.folder / "signatures" / f"{role}.json.sig")
    assert verify(signed.folder, signed.allowed).exit_code == 26
    again = sign(signed.folder, role, signed.keys[role], name=role)
    assert again.aside.parent.name == "damaged"
    assert verify(signed.folder, signed.allowed).ok
