"""The signatures of a change as the live page shows them: of this record or not, and whether the key may sign.

It is less than `verify` does: the report is not computed again. So the page can ask four times a second.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.checklist.vocabulary import CLOCK_SLACK, time_words
from pytest_deploygate.files import bounded
from pytest_deploygate.journal import utcnow
from pytest_deploygate.report.live.following import Change
from pytest_deploygate.report.live.page import Sign, Signature
from pytest_deploygate.signoff import outside, ssh
from pytest_deploygate.signoff.statement import Statement, StatementError, parse

_PLACE, _REPORT = "signatures", "signoff.html"
_MOST_BYTES = 64 * 1024
_MOST_REPORT = 16 * bounded.MB


class Signatures:
    """Looks at the signatures in a folder. Not for several threads.

    `allowed` is the file with the keys that may sign in each role, which must be outside of the folder.
    """

    def __init__(self, folder: Path, allowed: Path) -> None:
        self._folder, self._allowed = folder, allowed
        self._report: tuple[tuple[int, ...], str] = ((), "")

    def __call__(self, change: Change) -> Mapping[str, Signature]:
        """Return what is there of each role that must sign, by the slug of the role."""
        keys: defaultdict[str, list[str]] = defaultdict(list)
        found = {role: self._of(role, change, keys) for role in dict.fromkeys(map(slug, change.roles))}
        for key, roles in keys.items():
            if len(roles) > 1:
                twice = Signature(Sign.BAD, f"one key, {key}, signed as {' and as '.join(roles)}")
                found |= dict.fromkeys(roles, twice)
        return {role: one for role, one in found.items() if one}

    def _of(self, role: str, change: Change, keys: defaultdict[str, list[str]]) -> Signature | None:
        statement = self._folder / _PLACE / f"{role}.json"
        raw, armour = _bytes(statement), _bytes(statement.with_suffix(".json.sig"))
        if raw is None and armour is None:
            return None
        if raw is None or armour is None:
            return Signature(Sign.BAD, f"only one of {statement.name} and its .sig is there")
        try:
            said, made = parse(raw), ssh.made_by(raw, armour)
            if wrong := made.problem or self._wrong(said, role, change):
                return Signature(Sign.BAD, wrong)
            keys[made.key].append(role)
            sign, why = self._may(raw, armour, role, said)
        except (StatementError, ssh.SshError) as error:
            return Signature(Sign.BAD, f"{statement.name}: {error}")
        reason = f": {said.reason}" if said.reason else ""
        return Signature(sign, f"{said.name} on {time_words(said.at)}{reason}{why and f'; {why}'}")

    def _may(self, raw: bytes, armour: bytes, role: str, said: Statement) -> tuple[Sign, str]:
        """Tell whether the key of a signature may sign in its role, now and when it did. Raises ssh.SshError."""
        present = utcnow().replace(second=0, microsecond=0)  # a minute is soon enough for a key that expires
        try:
            found = self._allowed.stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if how := _reached_through(self._folder, self._allowed, stamp, present):
                return Sign.UNKNOWN, f"{self._allowed.name} {how}, so it vouches for nobody"
        except OSError as error:
            return Sign.UNKNOWN, f"{self._allowed.name} cannot be read ({error.strerror})"
        why = _refused(raw, armour, role, self._allowed, stamp, (said.at, max(present, said.at)))
        return (Sign.BAD, f"the key {why} in {self._allowed.name}") if why else (Sign.GOOD, "")

    def _wrong(self, said: Statement, role: str, change: Change) -> str:
        """Say how a statement is not about the record as it stands; empty if it is."""
        by = f"{said.name} signed on {time_words(said.at)}"
        if (said.change, said.role) != (change.name, role):
            return f"{by} as {said.role} for the change {said.change}"
        if (said.journal_head, said.journal_lines) != (change.head, change.lines):
            return f"{by} line {said.journal_lines} of the journal, which is at line {change.lines} now; sign again"
        if said.decision != (change.decision.outcome.value if change.decision else ""):
            return f"{by} the decision {said.decision}, which is not the journal's"
        if said.at > utcnow() + CLOCK_SLACK:
            return f"{by}, which is in the future"
        if said.report_sha256 != self._report_now():
            return f"{by} another {_REPORT} than the one that is there"
        return ""

    def _report_now(self) -> str:
        """Return the SHA-256 of the report; empty if it cannot be read."""
        path = self._folder / _REPORT
        with contextlib.suppress(OSError):
            found = path.stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if stamp != self._report[0]:
                self._report = stamp, hashlib.sha256(bounded.read(path, _MOST_REPORT)).hexdigest()
            return self._report[1]
        return ""


def _bytes(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return bounded.read(path, _MOST_BYTES)
    return None


@functools.lru_cache(maxsize=4)
def _reached_through(folder: Path, allowed: Path, stamp: tuple[int, ...], at: datetime) -> str:  # noqa: ARG001 (what the answer depends on)
    return outside.reached_through(folder, allowed)


@functools.lru_cache(maxsize=64)
def _refused(
    raw: bytes,
    armour: bytes,
    role: str,
    allowed: Path,
    stamp: tuple[int, ...],  # noqa: ARG001 (another file, another answer)
    moments: tuple[datetime, ...],
) -> str:
    return ssh.refused(raw, armour, role, allowed, moments)
