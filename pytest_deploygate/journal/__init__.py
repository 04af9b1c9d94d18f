"""The journal: append-only JSON lines, each with the hash of the one before, fsynced. The only source of truth.

Line: `{"at": ISO 8601 UTC, "kind": …, …, "prev": sha256 of the line before, "seq": n, "own": sha256 of this line up to
here}`. `own` comes last so that damage is detected in the last line too, which no other line covers. Kinds: `run`
(a segment begins), `test` (one test's findings, written as one line so that a killed run never leaves half of them),
`decision`, `end` (a segment ended by itself), `checkpoint`, `signed` (the signatures that were there before the journal
went on). Everything else (decision, report, exit code) is computed
from the journal.

A checkpoint holds the SHA-256 of all bytes before it, names the lines that still count, and says the rest in short
(`decision/condensed.py`). `read` hashes what is before the last checkpoint and parses only the lines that it names, so that
a change of 200 runs is read as quickly as its first. `parse` reads every line; `deploygate verify` does, and computes
each checkpoint again.
"""

from __future__ import annotations

from pytest_deploygate.journal.errors import ODD, BusyError, JournalError, UnwritableError
from pytest_deploygate.journal.lines import (
    CHECKPOINT,
    CONDENSED,
    FILE,
    GENESIS,
    MOST_BYTES,
    Entry,
    parse,
    readable,
    utcnow,
)
from pytest_deploygate.journal.plain import (
    decision_from_json,
    decision_to_json,
    finding_from_json,
    finding_to_json,
)
from pytest_deploygate.journal.reading import read, stream
from pytest_deploygate.journal.runs import Segment, TestRecord, condensed, segments
from pytest_deploygate.journal.signed import SIGNED, noted
from pytest_deploygate.journal.writer import Writer, locked

__all__ = [
    "CHECKPOINT",
    "CONDENSED",
    "FILE",
    "GENESIS",
    "MOST_BYTES",
    "ODD",
    "SIGNED",
    "BusyError",
    "Entry",
    "JournalError",
    "Segment",
    "TestRecord",
    "UnwritableError",
    "Writer",
    "condensed",
    "decision_from_json",
    "decision_to_json",
    "finding_from_json",
    "finding_to_json",
    "locked",
    "noted",
    "parse",
    "read",
    "readable",
    "segments",
    "stream",
    "utcnow",
]
