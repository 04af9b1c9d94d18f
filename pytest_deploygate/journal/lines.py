"""The lines of a journal: reading them, and the chain that they form."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_deploygate.files import bounded
from pytest_deploygate.journal.errors import ODD, JournalError
from pytest_deploygate.journal.plain import finding_from_json
from pytest_deploygate.journal.typed import text
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Finding
from pytest_deploygate.moments import time_of

GENESIS = "0" * 64
FILE = "journal.jsonl"
#: The most that is read of a journal: 200 runs of 5,000 findings.
MOST_BYTES = 1024 * bounded.MB
#: Kind of the line that stands for those before it.
CHECKPOINT = "checkpoint"
#: Kind of the entry, not a line, that `read` returns in place of the lines before a checkpoint which it did not parse.
CONDENSED = "condensed"


@dataclass(frozen=True)
class Entry:
    """One line of the journal: `start` and `length` say where it is in the file, in bytes, without its line feed."""

    seq: int
    at: datetime
    kind: str
    body: Mapping[str, Any]
    sha256: str
    start: int = 0
    length: int = 0

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of a `test` line, which a run needs several times. Raises JournalError if one is unreadable."""
        return tuple(map(finding_from_json, self.body["findings"]))

    def take_findings(self, other: Entry) -> None:
        """Take over the findings of an entry that has the very same ones, so that they are not read again."""
        if self.body["findings"] is other.body["findings"]:
            self.__dict__["findings"] = other.findings


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turn an entry with another shape than ours into a JournalError: a forger or another version may have written it.

    Also a decorator, for functions that compute something of a journal.
    """
    try:
        yield
    except ODD as error:
        raise JournalError(f"the journal has an entry that this version cannot read: {error!r}") from None


def utcnow() -> datetime:
    """Return the current time, aware and in UTC, to the millisecond (the journal's precision)."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def holds(point: Entry, before: hashlib._Hash) -> bool:
    """Tell whether a checkpoint is about the bytes before it."""
    return bool(point.body.get("sha256") == before.hexdigest())


def refuse_untrue(entry: Entry, before: hashlib._Hash, path: Path) -> None:
    """Raise JournalError if an entry is a checkpoint of other bytes than those before it."""
    if entry.kind == CHECKPOINT and not holds(entry, before):
        raise JournalError(
            f"{path}:{entry.seq}: this checkpoint is not of the lines before it; the record was damaged or edited. "
            "Move the folder aside (--fresh) and run again"
        )


def chained(raw: bytes, start: int, before: Entry | None, path: Path) -> list[Entry]:
    """Verify and return the complete lines from `start` on; `before` is the entry before them."""
    return list(each(raw, start, before, path))


def each(raw: bytes, start: int, before: Entry | None, path: Path) -> Iterator[Entry]:
    """Verify and yield the complete lines from `start` on, one after the other. Raises JournalError."""
    number, previous = (before.seq, before.sha256) if before else (0, GENESIS)
    digest = None if start else hashlib.sha256()
    while (end := raw.find(b"\n", start)) >= 0:
        line = raw[start:end]
        number += 1
        entry = parse_line(line, number, previous, start, path)
        if digest is not None:
            refuse_untrue(entry, digest, path)
            digest.update(line + b"\n")
        previous, start = entry.sha256, end + 1
        yield entry


def parse(raw: bytes, path: Path) -> tuple[list[Entry], int]:
    """Verify every line of a journal's bytes and return all; `path` is for error messages.

    Lines end in a line feed only: any other line end is a change that the hashes must show.
    """
    return chained(raw, 0, None, path), raw.rfind(b"\n") + 1


def parse_line(line: bytes, number: int, previous: str, start: int, path: Path) -> Entry:
    """Verify and return a line that should have this number and follow the line of this digest. Raises JournalError."""
    try:
        body = json.loads(line)
        own, seq, prev, kind, at = (
            body["own"],
            body["seq"],
            body["prev"],
            text(body["kind"]),
            time_of(body["at"]),
        )
        text(body.get("run", ""))
    except ODD:
        raise JournalError(
            f"{path}:{number}: this line is not a journal entry; the record was damaged or edited. "
            "Move the folder aside (--fresh) and run again"
        ) from None
    end = sealed(own)
    if not line.endswith(end) or own != _own(line, len(end)):
        raise JournalError(
            f"{path}:{number}: this line was changed after it was written; the record was damaged or edited. "
            "Move the folder aside (--fresh) and run again"
        )
    if seq != number or prev != previous:
        raise JournalError(
            f"{path}:{number}: the chain is broken here: a line before this one was changed, added or removed. "
            "Move the folder aside (--fresh) and run again"
        )
    del body["own"]  # the seal is internal to the journal
    return Entry(seq, at, kind, body, hashlib.sha256(line).hexdigest(), start, len(line))


def own_digest(line: bytes) -> str:
    """Return the digest of a line without its seal."""
    return hashlib.sha256(line).hexdigest()


def _own(line: bytes, seal: int) -> str:
    """Return the digest of a line without its seal of that length. The first line of a run is long: it is not copied."""
    digest = hashlib.sha256(memoryview(line)[:-seal])
    digest.update(b"}")
    return digest.hexdigest()


def sealed(own: str) -> bytes:
    """Return the end of a line that holds its own digest."""
    return f',"own":"{own}"}}'.encode()
