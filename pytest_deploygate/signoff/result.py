"""The result of verifying a folder: the checks in order, who signed, and the exit code."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.lazy import dataclass

BROKEN = 25
"""Exit code: the files do not match the record."""
UNSIGNED = 26
"""Exit code: a signature is missing, invalid, or its trust cannot be established."""


@dataclass(frozen=True)
class Check:
    """One check. `ok` is None if it could not be made or is only a note.

    `code` is the exit code if it fails.
    """

    name: str
    ok: bool | None
    text: str
    code: int = 0


@dataclass(frozen=True)
class Signed:
    """The signature of one role. `key` is its fingerprint, empty if the signature is invalid. `trusted` is true if it is
    valid, covers exactly this report, and its key may sign in that role.
    """

    role: str
    name: str
    at: datetime | None
    meaning: str
    reason: str
    key: str
    trusted: bool


@dataclass(frozen=True)
class VerifyResult:
    """All checks of one folder, in order. `roles` must sign; `head` is the hash of the journal's last line."""

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
        """The first check that failed."""
        return next((check for check in self.checks if check.ok is False), None)

    @property
    def ok(self) -> bool:
        """True if everything was checked and nothing is wrong. Without any check it is never true."""
        return self.first is None and bool(self.checks) and bool(self.roles) and not self.missing

    @property
    def missing(self) -> tuple[str, ...]:
        """The roles that have no trusted signature on this report."""
        trusted = {one.role for one in self.signed if one.trusted}
        return tuple(role for role in self.roles if role not in trusted)

    @property
    def exit_code(self) -> int:
        """0: verified and complete; 25: evidence broken; 26: sign-off missing, invalid or not trusted."""
        codes = {check.code for check in self.checks if check.ok is False}
        if BROKEN in codes:
            return BROKEN
        return 0 if self.ok else UNSIGNED
