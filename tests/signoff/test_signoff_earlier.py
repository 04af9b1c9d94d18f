"""Signatures that were moved aside are verified too: against the journal as it was when they were made."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from small_change import ROLES, allow, make_key, results_again, run_gate

from pytest_deploygate.cli.shared.journals import held
from pytest_deploygate.journal import FILE, SIGNED, Writer, read
from pytest_deploygate.signoff import aside, ssh
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
    "a statement": (lambda g, _: _flip(g / f"{ROLES[0]}.json"), 25),
    "a signature": (lambda g, _: _flip(g / f"{ROLES[0]}.json.sig"), 25),
    "a statement without its signature": (lambda g, _: (g / f"{ROLES[0]}.json.sig").unlink(), 25),
    "a signature without its statement": (lambda g, _: (g / f"{ROLES[0]}.json").unlink(), 25),
    "another name in it": (lambda g, _: (g / f"{ROLES[0]}.json").rename(g / "sponsor.json"), 26),
    "another decision, signed": (lambda g, k: _again(g / f"{ROLES[0]}.json", k[ROLES[0]], decision="HOLD", reason="x"), 25),
    "another report, signed": (lambda g, k: _again(g / f"{ROLES[0]}.json", k[ROLES[0]], report_sha256="0" * 64), 25),
    "another journal, signed": (lambda g, k: _again(g / f"{ROLES[0]}.json", k[ROLES[0]], journal_head="0" * 64), 25),
    "another role's key": (lambda g, k: _again(g / f"{ROLES[0]}.json", k[ROLES[2]]), 25),
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


def test_a_key_must_have_been_allowed_then(project, keys, tmp_path):
    """Somebody who left may have signed; somebody who was never allowed may not."""
    folder = project / "deploygate-out" / "CHG-1"
    other = make_key(tmp_path, "other")
    sign(folder, ROLES[0], other, name="Left since")
    run_gate(project, "CHG-1")
    for role, key in keys.items():
        sign(folder, role, key, name=role)
    allowed = allow(project / "allowed_signers", keys)
    result = verify(folder, allowed)
    assert (result.exit_code, result.first.name) == (26, "earlier")
    assert ROLES[0] in result.first.text
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


@pytest.fixture(scope="module")
def signed_four_times(small, keys, tmp_path_factory):
    project = shutil.copytree(small, tmp_path_factory.mktemp("four") / "project")
    folder = project / "deploygate-out" / "CHG-1"
    for number in range(4):
        if number:
            run_gate(project, "CHG-1")
        for role, key in keys.items():
            sign(folder, role, key, name=role)
    allow(project / "allowed_signers", keys)
    return project


def _groups(folder):
    """Return the groups of earlier signatures, oldest first."""
    said = {
        group: parse((group / f"{ROLES[0]}.json").read_bytes()).journal_lines
        for group in (folder / "signatures" / "earlier").iterdir()
    }
    return sorted(said, key=said.__getitem__)


REMOVED = {
    "the first": lambda groups: groups[:1],
    "the middle one": lambda groups: groups[1:2],
    "the last": lambda groups: groups[-1:],
    "the first two": lambda groups: groups[:2],
    "all": lambda groups: groups,
}


@pytest.mark.parametrize("what", REMOVED)
def test_a_group_that_was_removed_is_missed(signed_four_times, tmp_path, what):
    project = shutil.copytree(signed_four_times, tmp_path / "project")
    folder, allowed = project / "deploygate-out" / "CHG-1", project / "allowed_signers"
    assert verify(folder, allowed).ok
    groups = _groups(folder)
    assert len(groups) == 3
    for group in REMOVED[what](groups):
        shutil.rmtree(group)
    result = verify(folder, allowed)
    assert (result.exit_code, result.first.name) == (25, "earlier")
    assert "was removed or altered" in result.first.text


def test_one_role_that_was_removed_from_a_group_is_missed(twice):
    folder, allowed, group = twice
    for file in group.glob(f"{ROLES[1]}.json*"):
        file.unlink()
    result = verify(folder, allowed)
    assert (result.exit_code, result.first.name) == (25, "earlier")
    assert f"{ROLES[1]}.json, which was in signatures/" in result.first.text


def test_a_signature_that_is_put_back_is_there_again(twice, tmp_path):
    folder, allowed, group = twice
    shutil.move(group, tmp_path / "kept")
    assert verify(folder, allowed).exit_code == 25
    shutil.move(tmp_path / "kept", group)
    assert verify(folder, allowed).ok


def test_signatures_of_an_older_version_are_named_once_the_journal_goes_on(signed):
    """Nothing names them at first: the folder verifies as it did. After one more run they are missed, too."""
    writer = Writer(signed.folder)
    writer._went_on = True  # an older version names nothing
    writer.append("hook", {"where": "x", "what": "y", "text": "x: y"})
    writer.close()
    aside.keep_signed(signed.folder)
    results_again(signed.folder)
    for role, key in signed.keys.items():
        sign(signed.folder, role, key, name=role)
    assert verify(signed.folder, signed.allowed).ok
    run_gate(signed.project, "CHG-1")
    for role, key in signed.keys.items():
        sign(signed.folder, role, key, name=role)
    assert verify(signed.folder, signed.allowed).ok
    groups = _groups(signed.folder)
    assert len(groups) == 2
    for group in groups:
        shutil.move(group, signed.folder / "signatures" / "away")
        assert verify(signed.folder, signed.allowed).exit_code == 25
        shutil.move(signed.folder / "signatures" / "away", group)


def test_a_command_that_writes_nothing_voids_no_signature(signed):
    before = (signed.folder / FILE).read_bytes()
    with held(signed.folder):
        pass
    assert (signed.folder / FILE).read_bytes() == before
    assert verify(signed.folder, signed.allowed).ok


def test_what_is_named_is_named_once(twice):
    folder, _, _ = twice
    entries, _ = read(folder)
    assert [len(entry.body["files"]) for entry in entries if entry.kind == SIGNED] == [6]
    writer = Writer(folder)
    writer.append("hook", {"where": "x", "what": "y", "text": "x: y"})
    assert [len(entry.body["files"]) for entry in writer.entries if entry.kind == SIGNED] == [6, 6]
    writer.close()


def test_what_is_not_valid_is_not_kept_as_an_earlier_signature(signed):
    """A damaged signature makes way, and the folder verifies again."""
    role = ROLES[0]
    _flip(signed.folder / "signatures" / f"{role}.json.sig")
    assert verify(signed.folder, signed.allowed).exit_code == 26
    again = sign(signed.folder, role, signed.keys[role], name=role)
    assert again.aside.parent.name == "damaged"
    assert verify(signed.folder, signed.allowed).ok
