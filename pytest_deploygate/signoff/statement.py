"""What a role signs: a small JSON statement that names the report, the journal and the decision by their digests.

The file is canonical: sorted keys, no spaces, UTF-8, one line feed at its end. There is one way to write a statement,
so two files that differ are two statements.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

SCHEMA = "deploygate-signoff/1"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGESTS = ("report_sha256", "verdicts_sha256", "junit_sha256", "journal_head")


class StatementError(Exception):
    """A file is no statement; the text says why."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One role's word on one report. Digests are SHA-256 in hex, `at` is in UTC, `scope` as the decision names it.

    `journal_head` is the hash of the journal's line number `journal_lines`, its last one when this was signed.
    """

    change: str
    inventory: str
    scope: str
    decision: str
    role: str
    name: str
    meaning: str
    reason: str
    at: datetime
    report_sha256: str
    verdicts_sha256: str
    junit_sha256: str
    journal_head: str
    journal_lines: int
    tool: str


def to_bytes(statement: Statement) -> bytes:
    """Return the statement as it is signed and stored."""
    plain = {"schema": SCHEMA, **dataclasses.asdict(statement), "at": _time(statement.at)}
    return (json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse(raw: bytes) -> Statement:
    """Read a statement back. Raises StatementError on anything that `to_bytes` would have written otherwise."""
    try:
        plain = json.loads(raw)
        if plain.pop("schema") != SCHEMA:
            raise StatementError(f"is not of the form {SCHEMA}, the one that this version reads")
        statement = Statement(**{**plain, "at": datetime.fromisoformat(plain["at"])})
        written = to_bytes(statement)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StatementError("is no sign-off statement") from None
    if wrong := _wrong(statement):
        raise StatementError(f"is no sign-off statement: {wrong} is not what it must be")
    if written != raw:
        raise StatementError("is not written as `deploygate sign` writes it, so it was changed since")
    return statement


def _wrong(statement: Statement) -> str:
    """Return the name of the first field that holds the wrong kind of thing, or nothing."""
    for field in dataclasses.fields(statement):
        value = getattr(statement, field.name)
        if field.name == "at":
            good = isinstance(value, datetime) and value.tzinfo is not None
        elif field.name == "journal_lines":
            good = type(value) is int and value > 0
        else:
            good = isinstance(value, str)
        if field.name in _DIGESTS:
            good = good and _DIGEST.fullmatch(value) is not None
        if not good:
            return field.name
    return ""
