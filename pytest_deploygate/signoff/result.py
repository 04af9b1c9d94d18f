"""What verifying a folder gives: checks in their order, who signed, and the exit code that follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

BROKEN = 25
"""Exit code: what was recorded is not what is there."""
UNSIGNED = 26
"""Exit code: a signature is missing, wrong, or nobody can say whether to trust it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `ok` is None where it could not be, or only tells something (a note).

    `code` is the exit code that a failed one means.
    """

    name: str
    ok: bool | None
    text: str
    code: int = 0


@dataclass(frozen=True, slots=True)
class Signed:
    """One role's signature. `key` is its fingerprint, empty where the signature is not valid; `trusted` is true where
    it is valid, about this very report, and its key may sign in that role.
    """

    role: str
    name: str
    at: datetime | None
    meaning: str
    reason: str
    key: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """All checks of one folder, in order. `roles` are those that must sign, `head` the hash of the journal's last line."""

    folder: str
    change: str
    decision: str
    scope: str
    head: str
    roles: tuple[str, ...]
    signed: tuple[Signed, ...]
    checks: tuple[Check, ...]

    @property
    def first(self) -> Check | None:
        """The first thing that is wrong."""
        return next((check for check in self.checks if check.ok is False), None)

    @property
    def ok(self) -> bool:
        """True when everything was checked and nothing is wrong; nothing looked at is never true."""
        return self.first is None and bool(self.checks) and bool(self.roles) and not self.missing

    @property
    def missing(self) -> tuple[str, ...]:
        """The roles that have no trusted signature on this report."""
        trusted = {one.role for one in self.signed if one.trusted}
        return tuple(role for role in self.roles if role not in trusted)

    @property
    def exit_code(self) -> int:
        """0 verified and complete, 25 evidence broken, 26 sign-off missing, invalid or not to be trusted."""
        codes = {check.code for check in self.checks if check.ok is False}
        if BROKEN in codes:
            return BROKEN
        return 0 if self.ok else UNSIGNED
