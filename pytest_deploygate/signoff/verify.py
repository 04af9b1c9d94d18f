"""Verify a change's folder offline: no server is asked, and nothing in the folder vouches for itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pytest_deploygate import journal
from pytest_deploygate.decision import condensed
from pytest_deploygate.journal import JournalError, utcnow
from pytest_deploygate.signoff import decided, earlier, recorded, shards, signatures, ssh
from pytest_deploygate.signoff import folder as folders
from pytest_deploygate.signoff.folder import FolderError, Taken
from pytest_deploygate.signoff.recorded import Stands
from pytest_deploygate.signoff.result import BROKEN, UNSIGNED, Check, VerifyResult
from pytest_deploygate.signoff.signatures import Found


def verify(
    folder: Path,
    allowed_signers: Path | None,
    roles: Sequence[str] | None = None,
    *,
    root: Path | None = None,
    at: datetime | None = None,
    before_run: str = "",
    change: str = "",
) -> VerifyResult:
    """Check a change's folder and report everything that is wrong, in order. Never raises because of its contents.

    `change` is the change that the folder must be the record of; empty: any one change.

    `roles` (slugs) must sign; None takes those that the journal names. `root` is the repository with attestations and
    waivers. Keys must be allowed at `at` (default: now) and at the time of signing. With `before_run` the folder is
    judged as it was before that run: for a run that checks the sign-off of earlier runs.
    """
    try:
        taken = folders.take(folder)
        if before_run:
            taken = folders.before_run(taken, before_run)
    except (FolderError, JournalError) as error:
        check = Check("journal", False, str(error), BROKEN)
        return VerifyResult(str(folder), "", "", "", "", tuple(roles or ()), (), (check,))
    return examine(taken, allowed_signers, roles, root=root, at=at, change=change)


def examine(
    taken: Taken,
    allowed_signers: Path | None,
    roles: Sequence[str] | None = None,
    *,
    root: Path | None = None,
    at: datetime | None = None,
    change: str = "",
) -> VerifyResult:
    """Check a folder that has already been read."""
    moment = at or utcnow()
    stands, broken = _stands(taken)
    try:
        found = signatures.found(taken)
        before = tuple(earlier.checks(taken, stands, allowed_signers, moment)) if stands else ()
        before += tuple(earlier.removed(taken, stands)) if stands else ()
        signing: tuple[Check, ...] = ()
    except ssh.SshError as error:
        found, before = [], ()
        signing = (Check("signature", False, f"signatures cannot be checked: {error}", UNSIGNED),)
    must = tuple(roles) if roles is not None else (stands.roles if stands else ())
    named = recorded.of_change(stands, change) if stands else ()
    checks = (*broken, *named, *_walk(taken, stands, found, allowed_signers, root, moment), *before, *signing)
    if not signing:
        checks += tuple(_completeness(stands, found, must))
    trusted = _trusted(taken, stands, found, allowed_signers, moment)
    return VerifyResult(
        folder=str(taken.folder),
        change=stands.change if stands else "",
        decision=stands.outcome if stands else "",
        scope=stands.scope if stands else "",
        head=stands.head if stands else "",
        roles=must,
        signed=tuple(signatures.as_signed(one, trusted=one.role in trusted) for one in found),
        checks=checks,
    )


def recorded_checks(taken: Taken) -> Iterator[Check]:
    """Check the record without the signatures: it must be intact before anybody signs."""
    stands, broken = _stands(taken)
    yield from broken
    if stands:
        yield from recorded.finished(taken, stands)
        yield from recorded.evidence(taken, stands)
        yield from shards.checks(taken, stands)
        yield from recorded.results(taken, stands)


def _stands(taken: Taken) -> tuple[Stands | None, tuple[Check, ...]]:
    try:
        stands = recorded.read(taken)
    except JournalError as error:
        return None, (Check("journal", False, str(error), BROKEN),)
    intact = Check("journal", True, f"the chain of {len(stands.entries)} lines is intact")
    if others := condensed.of_others(stands.entries):
        text = f"not computed again: another version of pytest-deploygate wrote {others} of the journal's checkpoints"
        return stands, (intact, Check("checkpoints", None, text))
    return stands, (intact,)


def _walk(
    taken: Taken,
    stands: Stands | None,
    found: Sequence[Found],
    allowed: Path | None,
    root: Path | None,
    at: datetime,
) -> Iterator[Check]:
    if stands:
        yield from signatures.head(stands, found)
        yield from _decisions(taken, stands, allowed, at)
        yield from recorded.finished(taken, stands)
        yield from recorded.evidence(taken, stands)
        yield from shards.checks(taken, stands)
        yield from recorded.results(taken, stands)
        yield from signatures.digests(taken, stands, found)
        yield from recorded.records(stands, root)
        yield from signatures.statements(stands, found, at)
    yield from signatures.armour(found)
    yield from signatures.validity(found)
    if found:
        yield from signatures.trust(taken.folder, found, allowed, at)
    yield from signatures.shared_keys(found)


def _decisions(taken: Taken, stands: Stands, allowed: Path | None, at: datetime) -> Iterator[Check]:
    """Check the decisions about incidents; an allowed-signers file inside the folder vouches for nothing."""
    outside = None if signatures.untrusted_file(taken.folder, allowed) else allowed
    try:
        with recorded.shaped(taken.folder / journal.FILE):
            yield from decided.checks(stands.entries, outside, at)
    except JournalError as error:
        yield Check("decision", False, str(error), BROKEN)
    except ssh.SshError as error:
        yield Check("decision", False, f"signatures of decisions cannot be checked: {error}", UNSIGNED)


def _completeness(stands: Stands | None, found: Sequence[Found], roles: Sequence[str]) -> Iterator[Check]:
    if stands or roles:
        yield from signatures.complete(roles, found)


def _trusted(
    taken: Taken, stands: Stands | None, found: Sequence[Found], allowed: Path | None, at: datetime
) -> set[str]:
    """Return the roles whose signature on exactly this report can be trusted."""
    if stands is None:
        return set()
    doubled = {
        one.made.key
        for n, one in enumerate(found)
        for other in found[n + 1 :]
        if one.made.key == other.made.key
    }
    return {
        one.role
        for one in found
        if one.valid
        and one.made.key not in doubled
        and not any(check.ok is False for check in _alone(taken, stands, one, allowed, at))
    }


def _alone(taken: Taken, stands: Stands, one: Found, allowed: Path | None, at: datetime) -> Iterator[Check]:
    yield from signatures.head(stands, [one])
    yield from signatures.statements(stands, [one], at)
    yield from signatures.digests(taken, stands, [one])
    yield from signatures.trust(taken.folder, [one], allowed, at)
