"""People's records of a run: attestations, waivers and the change's issue log, and which of them do not count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pytest_deploygate.checklist import attestations, committed, issue_log, waivers
from pytest_deploygate.checklist.issue_log import IssueLog
from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.checklist.vocabulary import Attestation, SetAside
from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.git import WorkTree
from pytest_deploygate.inventory.policy import Policy
from pytest_deploygate.journal import utcnow
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import Problem
from pytest_deploygate.redaction import redact

T = TypeVar("T")


@dataclass(frozen=True)
class Records:
    """Records that count, and those that do not, with the reason.

    `signers_aside` says why the allowed-signers file cannot be trusted; an empty text if it can, or if there is none.
    """

    attestations: tuple[Attestation, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    issue_log: IssueLog | None = None
    aside: tuple[SetAside, ...] = ()
    signers_aside: str = ""


def read(root: Path, checklist: Checklist, change: str, policy: Policy, tree: WorkTree | None) -> Records:
    """Read all of them before anything runs. Raises RecordsError with every problem found.

    `tree` is the git work tree in which a record must be committed; None: `root` is in none.
    """
    log_file = f"{issue_log.FOLDER}/{change}.yml"
    names = committed.names(root, (attestations.FOLDER, waivers.FOLDER), (log_file, committed.SIGNERS))
    why = committed.uncommitted(root, tree, names, policy.records_branch)
    signers_aside = why.get(committed.SIGNERS, "")
    problems: list[Problem] = []

    def tried(read_records: Callable[[], T], nothing: T) -> T:
        try:
            return read_records()
        except RecordsError as error:
            problems.extend(error.problems)
            return nothing

    no_attestations: list[Attestation] = []
    no_waivers: list[Waiver] = []
    attested = tried(lambda: attestations.load_all(root, checklist, aside=why), no_attestations)
    waived = tried(lambda: waivers.load_all(root, checklist, None, aside=why), no_waivers)
    if policy.signed_records:
        why |= _unsigned(root, [w for w in waived if w.file not in why], signers_aside)
    counted = [w for w in waived if w.file not in why]
    tried(lambda: waivers.check_together(counted, policy.max_waivers, utcnow()), None)
    log = tried(lambda: issue_log.load(root, change, checklist), IssueLog(log_file, exists=False))
    if problems:
        raise RecordsError(problems)
    if log_file in why:
        log = replace(IssueLog(log_file, exists=False), aside=why[log_file])
    return Records(
        tuple(a for a in attested if a.file not in why),
        tuple(counted),
        log,
        tuple(_aside(why, attested, waived)),
        signers_aside,
    )


def _aside(why: Mapping[str, str], attested: list[Attestation], waived: list[Waiver]) -> list[SetAside]:
    items = {a.file: a.item for a in attested} | {w.file: w.item for w in waived}
    return [SetAside(file, items.get(file, ""), redact(why[file])) for file in sorted(why)]


def _unsigned(root: Path, waived: list[Waiver], signers_aside: str) -> dict[str, str]:
    """Return why waivers lack the signatures of owner and approver, by file."""
    if not waived:
        return {}
    from pytest_deploygate.signoff import record_files  # noqa: PLC0415 (only where records must be signed)

    if signers_aside:
        return dict.fromkeys(
            (w.file for w in waived), f"unsigned: {committed.SIGNERS} does not count ({signers_aside})"
        )
    allowed = root / committed.SIGNERS
    found = {w.file: record_files.unsigned(root, w, allowed, utcnow()) for w in waived}
    return {file: f"unsigned: {text}" for file, text in found.items() if text}
