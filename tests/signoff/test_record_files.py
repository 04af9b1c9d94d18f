"""Waivers are signed by owner and approver with different keys; attestations by their role. Real keys, real signatures."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_deploygate.checklist import parser, waivers
from pytest_deploygate.signoff import record_files

NOW = datetime(2026, 3, 5, tzinfo=UTC)
WAIVER = "waivers/b.yml"
TEXT = """\
item: b.migrations
owner: Database admin
approver: Operations
reason: the migration runs tomorrow
ticket: OPS-1
created: 2026-03-04T00:00:00Z
expires: 2026-03-11T00:00:00Z
"""
NAMESPACES = "deploygate-waiver,deploygate-attestation"


def key(folder: Path, name: str) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True
    )
    return folder / name


def line(role: str, signer: Path, namespaces: str = NAMESPACES) -> str:
    kind, public, *_ = signer.with_name(f"{signer.name}.pub").read_text().split()
    return f'{role} namespaces="{namespaces}" {kind} {public}\n'


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return key(tmp_path, "owner"), key(tmp_path, "approver")


@pytest.fixture
def root(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    folder = tmp_path / "repo"
    (folder / "waivers").mkdir(parents=True)
    (folder / WAIVER).write_text(TEXT)
    (folder / "allowed_signers").write_text(line("database-admin", keys[0]) + line("operations", keys[1]))
    return folder


def why(root: Path) -> str:
    checklist = parser.parse("## Phase 2 {#phase2}\n- [ ] Migrations {#b.migrations}\n", Path("checklist.md"))
    waiver = waivers.check((root / WAIVER).read_text(), WAIVER, checklist)
    return record_files.unsigned(root, waiver, root / "allowed_signers", NOW)


def signed(root: Path, keys: tuple[Path, Path]) -> None:
    record_files.sign(root, root / WAIVER, "database-admin", keys[0])
    record_files.sign(root, root / WAIVER, "Operations", keys[1])


def test_owner_and_approver_sign(root: Path, keys: tuple[Path, Path]) -> None:
    assert "the signature of its owner is missing" in why(root)
    record_files.sign(root, root / WAIVER, "database-admin", keys[0])
    assert "deploygate sign --record waivers/b.yml --role operations --key KEY" in why(root)
    record_files.sign(root, root / WAIVER, "operations", keys[1])
    assert why(root) == ""


def test_a_byte_changed_after_signing(root: Path, keys: tuple[Path, Path]) -> None:
    signed(root, keys)
    (root / WAIVER).write_text(TEXT.replace("03-11", "04-11"))
    assert "was not made over" in why(root)


def test_the_same_key_under_two_names(root: Path, keys: tuple[Path, Path]) -> None:
    (root / "allowed_signers").write_text(line("database-admin,operations", keys[0]))
    record_files.sign(root, root / WAIVER, "database-admin", keys[0])
    with pytest.raises(record_files.NotSignedError, match="another key"):
        record_files.sign(root, root / WAIVER, "operations", keys[0])
    record_files.signature_file(root / WAIVER, "approver").write_bytes(
        record_files.signature_file(root / WAIVER, "owner").read_bytes()
    )
    assert "the same key" in why(root)


@pytest.mark.parametrize(
    ("signers", "words"),
    [
        (lambda k: line("database-admin", k[1]) + line("operations", k[1]), "is not listed for this role"),
        (
            lambda k: line("database-admin", k[0], "deploygate-signoff"),
            "may not be used for deploygate-waiver",
        ),
        (lambda _: "", "is not listed for this role"),
    ],
    ids=["another's", "for the sign-off only", "nobody"],
)
def test_a_key_that_may_not_sign(root: Path, keys: tuple[Path, Path], signers, words: str) -> None:
    signed(root, keys)
    (root / "allowed_signers").write_text(signers(keys))
    assert words in why(root)


def test_no_allowed_signers(root: Path, keys: tuple[Path, Path]) -> None:
    signed(root, keys)
    (root / "allowed_signers").unlink()
    assert "there is no allowed_signers" in why(root)


@pytest.mark.parametrize(
    ("file", "role", "words"),
    [
        (WAIVER, "security-lead", "it names: owner database-admin, approver operations"),
        ("waivers/none.yml", "operations", "cannot be read or signed: No such file"),
        ("allowed_signers", "operations", "is no record"),
        ("../owner", "operations", "is no record"),
    ],
)
def test_what_is_not_signed(root: Path, keys: tuple[Path, Path], file: str, role: str, words: str) -> None:
    with pytest.raises(record_files.NotSignedError, match=words):
        record_files.sign(root, root / file, role, keys[1])


def test_an_attestation_is_signed_by_its_role(root: Path, keys: tuple[Path, Path]) -> None:
    (root / "attestations").mkdir()
    file = root / "attestations" / "a.yml"
    file.write_text("item: a\nrole: operations\n")
    assert record_files.sign(root, file, "operations", keys[1]) == root / "attestations" / "a.yml.sig"
    with pytest.raises(record_files.NotSignedError, match="it names: role operations"):
        record_files.sign(root, file, "database-admin", keys[0])
