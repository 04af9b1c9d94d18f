"""Signatures of people's records, beside the file: an attestation's by its role, a waiver's by its owner and its approver.

The owner and the approver of a waiver sign with keys that are not the same.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from yaml.nodes import MappingNode, ScalarNode

from pytest_deploygate.checklist import attestations, records, waivers
from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.files import bounded, write_whole
from pytest_deploygate.problems import Problem
from pytest_deploygate.signoff import ssh

NAMESPACE = "deploygate-waiver"
#: Who signs a waiver, as keys of the file.
PARTS = ("owner", "approver")
_MOST_BYTES = 64 * 1024


class NotSignedError(Exception):
    """A record was not signed; the message says why and what to do."""


def sign(root: Path, file: Path, role: str, key: Path) -> Path:
    """Sign a record below `root` in a role that it names; return the signature's file. Raises NotSignedError."""
    try:
        shown = file.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        shown = ""
    folder = shown.rpartition("/")[0]
    if folder not in (attestations.FOLDER, waivers.FOLDER) or not shown.endswith((".yml", ".yaml")):
        raise NotSignedError(f"{file} is no record: name a file in attestations/ or waivers/ below {root}")
    try:
        raw = bounded.read(file)
        named = _roles(raw, shown, ("role",) if folder == attestations.FOLDER else PARTS)
        part = next((name for name, its in named.items() if its == slug(role)), None)
        if part is None:
            who = ", ".join(f"{name} {its or 'missing'}" for name, its in named.items())
            raise NotSignedError(f"{shown} does not name the role {slug(role)}; it names: {who}")
        namespace = NAMESPACE if part in PARTS else attestations.NAMESPACE
        armour = ssh.sign(raw, key, namespace)
        target = signature_file(file, part) if part in PARTS else file.with_name(f"{file.name}.sig")
        if part in PARTS:
            _check_other(raw, file, part, ssh.made_by(raw, armour, namespace).key)
        write_whole(target, armour)
    except ssh.SshError as error:
        raise NotSignedError(str(error)) from None
    except OSError as error:
        raise NotSignedError(f"{shown} cannot be read or signed: {error.strerror}") from None
    return target


def _roles(raw: bytes, shown: str, keys: tuple[str, ...]) -> dict[str, str]:
    """Return the roles that a record names, as slugs; empty for one that is missing."""
    problems: list[Problem] = []
    document = records.parse(raw, shown, problems)
    if document is None or not isinstance(document.node, MappingNode):
        raise NotSignedError("\n".join(map(str, problems)) or f"{shown} has no keys")
    said = {k.value: v.value for k, v in document.node.value if isinstance(v, ScalarNode)}
    return {key: slug(str(said.get(key, ""))) for key in keys}


def _check_other(raw: bytes, file: Path, part: str, key: str) -> None:
    other = next(name for name in PARTS if name != part)
    signature = signature_file(file, other)
    if signature.is_file() and ssh.made_by(raw, _read(signature), NAMESPACE).key == key:
        raise NotSignedError(
            f"{key} has signed {file.name} as its {other}; the {part} must be another person, with another key"
        )


def signature_file(waiver: Path, part: str) -> Path:
    """Return the file of the owner's or the approver's signature, beside the waiver."""
    return waiver.with_name(f"{waiver.name}.{part}.sig")


def command(file: str, role: str) -> str:
    """Return the command that signs a record in a role."""
    return f"deploygate sign --record {file} --role {role} --key KEY"


def unsigned(root: Path, waiver: Waiver, allowed: Path, now: datetime) -> str:
    """Return what is wrong with the signatures of a waiver below `root`; an empty text if nothing is.

    `allowed` is the allowed-signers file, in which the key must stand for the role that the waiver names.
    """
    if not allowed.is_file():
        return f"there is no {allowed.name}, which says whose key may sign"
    file = root / waiver.file
    try:
        raw = bounded.read(file)
        keys = {}
        for part in PARTS:
            role = slug(getattr(waiver, part))
            signature = signature_file(file, part)
            if not signature.is_file():
                return f"the signature of its {part} is missing: `{command(waiver.file, role)}`"
            armour = _read(signature)
            made = ssh.made_by(raw, armour, NAMESPACE)
            if made.problem:
                return f"{signature.name}: {made.problem}; have it signed again"
            if why := ssh.refused(raw, armour, role, allowed, (now,), NAMESPACE):
                return f"the key of {signature.name} {why} ({role}, {allowed.name})"
            keys[part] = made.key
    except OSError as error:
        return f"{waiver.file} or a signature of it cannot be read: {error.strerror}"
    except ssh.SshError as error:
        return f"signatures cannot be checked: {error}"
    if keys["owner"] == keys["approver"]:
        return f"owner and approver signed with the same key, {keys['owner']}; another person must approve"
    return ""


def _read(signature: Path) -> bytes:
    return bounded.read(signature)
