"""What a role signs: a small JSON statement that identifies report and journal by digest, with the decision.

The file is canonical: sorted keys, no spaces, UTF-8, one final newline. There is only one way to write a statement, so
two different files are two different statements.
"""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime

from pytest_deploygate.lazy import dataclass

SCHEMA = "deploygate-signoff/1"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGESTS = ("report_sha256", "verdicts_sha256", "junit_sha256", "journal_head")


class StatementError(Exception):
    """A file is not a statement; the message says why."""


@dataclass(frozen=True)
class Statement:
    """The statement of one role on one report. Digests are SHA-256 in hex, `at` is in UTC, `scope` is the decision's.

    `journal_head` is the hash of line `journal_lines` of the journal, the last one at the time of signing.
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
    """Read a statement. Raises StatementError for anything that `to_bytes` would not have written exactly so."""
    try:
        plain = json.loads(raw)
        if plain.pop("schema") != SCHEMA:
            raise StatementError(f"does not have the schema {SCHEMA}, which this version reads")
        statement = Statement(**{**plain, "at": datetime.fromisoformat(plain["at"])})
        written = to_bytes(statement)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StatementError("is not a sign-off statement") from None
    if wrong := _wrong(statement):
        raise StatementError(f"is not a sign-off statement: {wrong} has an invalid value")
    if written != raw:
        raise StatementError("is not in the form that `deploygate sign` writes, so it was changed since")
    return statement


def _wrong(statement: Statement) -> str:
    """Return the name of the first field with a value of the wrong kind, or nothing."""
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
