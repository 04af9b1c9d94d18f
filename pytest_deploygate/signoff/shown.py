"""The signatures of a change as the live page shows them: there, made over this record, and by which key.

It is less than `verify` does: neither is the report computed again, nor is it looked up whether a key may sign. So the page
asks many times, and says which command tells the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.checklist.vocabulary import time_words
from pytest_deploygate.files import bounded
from pytest_deploygate.report.live.following import Change
from pytest_deploygate.report.live.page import Signature
from pytest_deploygate.signoff import ssh
from pytest_deploygate.signoff.statement import Statement, StatementError, parse

_PLACE, _REPORT = "signatures", "signoff.html"
_MOST_BYTES = 64 * 1024
_MOST_REPORT = 16 * bounded.MB


class Signatures:
    """Looks at the signatures in a folder. Not for several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._report: tuple[tuple[int, ...], str] = ((), "")

    def __call__(self, change: Change) -> Mapping[str, Signature]:
        """Return what is there of each role that must sign, by the slug of the role."""
        keys: defaultdict[str, list[str]] = defaultdict(list)
        found = {role: self._of(role, change, keys) for role in dict.fromkeys(map(slug, change.roles))}
        for key, roles in keys.items():
            if len(roles) > 1:
                twice = Signature(good=False, said=f"one key, {key}, signed as {' and as '.join(roles)}")
                found |= dict.fromkeys(roles, twice)
        return {role: one for role, one in found.items() if one}

    def _of(self, role: str, change: Change, keys: defaultdict[str, list[str]]) -> Signature | None:
        statement = self._folder / _PLACE / f"{role}.json"
        raw, armour = _bytes(statement), _bytes(statement.with_suffix(".json.sig"))
        if raw is None and armour is None:
            return None
        if raw is None or armour is None:
            return Signature(good=False, said=f"only one of {statement.name} and its .sig is there")
        try:
            said, made = parse(raw), ssh.made_by(raw, armour)
        except (StatementError, ssh.SshError) as error:
            return Signature(good=False, said=f"{statement.name}: {error}")
        if wrong := made.problem or self._wrong(said, role, change):
            return Signature(good=False, said=wrong)
        keys[made.key].append(role)
        why = f": {said.reason}" if said.reason else ""
        return Signature(good=True, said=f"{said.name} on {time_words(said.at)}{why}")

    def _wrong(self, said: Statement, role: str, change: Change) -> str:
        """Say how a statement is not about the record as it stands; empty if it is."""
        by = f"{said.name} signed on {time_words(said.at)}"
        if (said.change, said.role) != (change.name, role):
            return f"{by} as {said.role} for the change {said.change}"
        if (said.journal_head, said.journal_lines) != (change.head, change.lines):
            return f"{by} line {said.journal_lines} of the journal, which is at line {change.lines} now; sign again"
        if said.decision != (change.decision.outcome.value if change.decision else ""):
            return f"{by} the decision {said.decision}, which is not the journal's"
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
