"""Sign a report in a role. The report is verified first and never modified."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest_deploygate
from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.files import write_whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Outcome
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact
from pytest_deploygate.report.leaving import plain
from pytest_deploygate.signoff import folder as folders
from pytest_deploygate.signoff import recorded, signatures, ssh
from pytest_deploygate.signoff.folder import DAMAGED, EARLIER, REPORT, SIGNATURES, Taken, digest
from pytest_deploygate.signoff.recorded import Stands
from pytest_deploygate.signoff.result import BROKEN
from pytest_deploygate.signoff.signatures import Found
from pytest_deploygate.signoff.statement import Statement, to_bytes
from pytest_deploygate.signoff.verify import recorded_checks
from pytest_deploygate.visible import says

_AGREES = "I have read this report and agree with its decision"
_SEEN = "I have read this report and know its decision"
#: Exit code for what the signer has to correct: the role, the key, the reason.
REFUSED = 2


class RefusedToSign(Exception):  # noqa: N818 (it is an answer, not an error)
    """Nothing was signed; the message says why and what to do. `code` is the exit code."""

    def __init__(self, text: str, code: int = REFUSED) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class SignedNow:
    """What `sign` wrote. `aside` names where an earlier signature of the role was moved, if there was one."""

    statement: Statement
    key: str
    file: Path
    missing: tuple[str, ...]
    aside: Path | None


def sign(
    folder: Path,
    role: str,
    key: Path,
    *,
    name: str,
    meaning: str = "",
    reason: str = "",
    roles: Sequence[str] | None = None,
) -> SignedNow:
    """Sign the report in `folder` as `role`. Raises RefusedToSign.

    `roles` are the roles that sign; None takes those that the journal names.
    """
    if not folder.is_dir():
        raise RefusedToSign(
            f"there is no folder {folder}; name the change with --change or the folder with --out"
        )
    with _locked(folder):
        taken, stands = _looked_at(folder)
        must = tuple(roles) if roles is not None else stands.roles
        mine = _role(role, must)
        said = _statement(taken, stands, mine, name, meaning, reason)
        try:
            others = signatures.found(taken)
            aside = _mine_before(mine, others, stands)
            raw = to_bytes(said)
            armour = ssh.as_stored(ssh.sign(raw, key))
            print_of = ssh.made_by(raw, armour).key
        except ssh.SshError as error:
            raise RefusedToSign(str(error)) from None
        _check_key(print_of, mine, others)
        try:
            kept = _move_aside(folder, mine, aside, stands) if aside else None
            file = _store(folder, mine, raw, armour)
        except OSError as error:
            raise RefusedToSign(f"the signature cannot be written to {folder}: {error.strerror}") from None
    there = {one.role for one in others if one.said and one.said.journal_head == stands.head} | {mine}
    return SignedNow(said, print_of, file, tuple(one for one in must if one not in there), kept)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder against runs and other signers: the report must not change while it is signed."""
    try:
        lock = (folder / ".lock").open("a+")
    except OSError as error:
        raise RefusedToSign(f"nothing can be written to {folder}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefusedToSign(f"a run or another signer is writing to {folder}; wait for it") from None
        yield


def _looked_at(folder: Path) -> tuple[Taken, Stands]:
    """Read the folder; reject it if it does not verify, or if its report cannot be compared with its journal."""
    try:
        taken = folders.take(folder)
    except folders.FolderError as error:
        raise RefusedToSign(str(error), BROKEN) from None
    wrong = next((check for check in recorded_checks(taken) if check.ok is False), None)
    if wrong:
        raise RefusedToSign(f"nothing was signed, because {folder} does not verify: {wrong.text}", BROKEN)
    stands = recorded.read(taken)
    if not stands.same_version:
        raise RefusedToSign(
            f"pytest-deploygate {stands.version} wrote this report and this is {pytest_deploygate.__version__}, which cannot "
            "check it against the journal: sign with that version, or run again"
        )
    return taken, stands


def _role(role: str, roles: Sequence[str]) -> str:
    mine = slug(role)
    if not roles:
        raise RefusedToSign("no role is named to sign: the checklist has no sign-off lines; use --roles")
    if mine not in roles:
        raise RefusedToSign(f"there is no role {role!r}{nearest(mine, roles)}")
    return mine


def _statement(taken: Taken, stands: Stands, role: str, name: str, meaning: str, reason: str) -> Statement:
    if stands.decision is None:
        raise RefusedToSign(
            "the last run ended without a decision, so there is nothing to sign: run again with --resume"
        )
    go = stands.decision.outcome is Outcome.GO
    if not go and not says(reason):
        raise RefusedToSign(
            f"the decision is {stands.outcome}: it can be signed as seen, not as agreed to; say why with --reason TEXT"
        )
    if not says(name):
        raise RefusedToSign("use --name to say who signs")
    return Statement(
        change=stands.change,
        inventory=stands.inventory,
        scope=stands.scope,
        decision=stands.outcome,
        role=role,
        name=_clean(name),
        meaning=_clean(meaning) or (_AGREES if go else _SEEN),
        reason=_clean(reason),
        at=datetime.now(UTC).replace(microsecond=0),
        report_sha256=digest(taken.results[REPORT]),
        verdicts_sha256=digest(taken.results["verdicts.json"]),
        junit_sha256=digest(taken.results["junit.xml"]),
        journal_head=stands.head,
        journal_lines=len(stands.entries),
        tool=f"pytest-deploygate {pytest_deploygate.__version__}",
    )


def _clean(text: str) -> str:
    return redact(plain(" ".join(text.split())))


def _mine_before(role: str, others: Sequence[Found], stands: Stands) -> Found | None:
    """Return an earlier signature of the role if the report changed since. Raises RefusedToSign if it did not."""
    mine = next((one for one in others if one.role == role), None)
    if mine and mine.valid and mine.said and mine.said.journal_head == stands.head:
        raise RefusedToSign(
            f"{role} has signed this report: {mine.said.name} at {mine.said.at:%Y-%m-%d %H:%M} UTC. To sign again, remove "
            f"{mine.file} and {mine.file}.sig first"
        )
    return mine


def _check_key(key: str, role: str, others: Sequence[Found]) -> None:
    for one in others:
        if one.made.key == key and one.role != role:
            raise RefusedToSign(
                f"this key already signed as {one.role} ({one.file}): two roles need two people with two keys"
            )


def _move_aside(folder: Path, role: str, mine: Found, stands: Stands) -> Path:
    """Keep an earlier signature with the head that it signs; one that is damaged or of another journal is no part of those."""
    known = {entry.sha256 for entry in stands.entries}
    if mine.valid and mine.said and mine.said.journal_head in known:
        place = folder / SIGNATURES / EARLIER / mine.said.journal_head[:12]
    else:
        place = folder / SIGNATURES / DAMAGED / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    place.mkdir(parents=True, exist_ok=True)
    for name in (f"{role}.json", f"{role}.json.sig"):
        if (file := folder / SIGNATURES / name).exists():
            file.replace(place / name)
    return place


def _store(folder: Path, role: str, raw: bytes, armour: bytes) -> Path:
    place = folder / SIGNATURES
    place.mkdir(exist_ok=True)
    file = place / f"{role}.json"
    write_whole(file, raw)
    write_whole(place / f"{role}.json.sig", armour)
    return file
