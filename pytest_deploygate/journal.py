"""The journal: append-only JSON lines, each with the hash of the one before, fsynced. The only source of truth.

Line: `{"at": ISO 8601 UTC, "kind": …, …, "prev": sha256 of the line before, "seq": n, "own": sha256 of this line up to
here}`. `own` comes last so that damage is detected in the last line too, which no other line covers. Kinds: `run`
(a segment begins), `test` (one test's findings, written as one line so that a killed run never leaves half of them),
`decision`, `end` (a segment ended by itself). Everything else (decision, report, exit code) is computed from the journal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

from pytest_deploygate.disk import BackgroundSync, to_disk
from pytest_deploygate.model import (
    Decision,
    Distribution,
    Evidence,
    Figure,
    Finding,
    Line,
    Outcome,
    Reading,
    Rule,
    Series,
    Spans,
    Verdict,
)
from pytest_deploygate.redaction import may_hold, redact_values

GENESIS = "0" * 64
#: Keys whose values are our own words, times and digests: they contain no secret, and masking would break reading.
_OURS = frozenset(
    {"at", "kind", "outcome", "prev", "run", "says", "seq", "severity", "sha256", "signature", "verdict"}
)
FILE = "journal.jsonl"
_LINE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


class JournalError(Exception):
    """The journal cannot be read or written; the message names the line, the cause and the next step."""


class UnwritableError(JournalError):
    """The disk is full or the folder is not writable: evidence cannot be stored (exit code 25)."""


@dataclass(frozen=True)
class Entry:
    """One line of the journal."""

    seq: int
    at: datetime
    kind: str
    body: Mapping[str, Any]
    sha256: str

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of a `test` line, which a run needs several times. Raises JournalError if one is unreadable."""
        return tuple(map(finding_from_json, self.body["findings"]))


def utcnow() -> datetime:
    """Return the current time, aware and in UTC, to the millisecond (the journal's precision)."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def read(folder: Path) -> tuple[list[Entry], int]:
    """Read and verify a change's journal; return its entries and the length in bytes of its complete lines.

    An unfinished last line (a killed run) is left out. Raises JournalError if the chain is broken.
    """
    path = folder / FILE
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from None
    return parse(raw, path)


def parse(raw: bytes, path: Path) -> tuple[list[Entry], int]:
    """Verify a journal's bytes as `read` does; `path` is for error messages.

    Lines end in a line feed only: any other line end is a change that the hashes must show.
    """
    whole = raw.rfind(b"\n") + 1
    entries: list[Entry] = []
    previous = GENESIS
    for number, line in enumerate(raw[:whole].split(b"\n")[:-1], start=1):
        entries.append(_parse(line, number, previous, path))
        previous = entries[-1].sha256
    return entries, whole


def _parse(line: bytes, number: int, previous: str, path: Path) -> Entry:
    try:
        body = json.loads(line)
        own, seq, prev, kind, at = (
            body["own"],
            body["seq"],
            body["prev"],
            body["kind"],
            datetime.fromisoformat(body["at"]),
        )
    except (ValueError, KeyError, TypeError):
        raise JournalError(
            f"{path}:{number}: this line is not a journal entry; the record was damaged or edited. "
            "Move the folder aside (--fresh) and run again"
        ) from None
    if not line.endswith(_sealed(own)) or own != _own(line[: -len(_sealed(own))] + b"}"):
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
    return Entry(seq, at, kind, body, hashlib.sha256(line).hexdigest())


def _own(line: bytes) -> str:
    """Return the digest of a line without its seal."""
    return hashlib.sha256(line).hexdigest()


def _sealed(own: str) -> bytes:
    """Return the end of a line that holds its own digest."""
    return f',"own":"{own}"}}'.encode()


def _locked(file: IO[str], patience_s: float = 0.5) -> bool:
    """Lock a file exclusively. A killed writer's child may hold the lock for a moment, until it executes its program."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


class Writer:
    """The only writer of a change's journal; holds a lock on the folder while open."""

    def __init__(self, folder: Path) -> None:
        """Open the journal of `folder` for appending. Raises JournalError: locked, damaged, not writable."""
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / ".lock").open("a+")
        except OSError as error:
            raise UnwritableError(f"nothing can be written to {folder}: {error.strerror}") from None
        if not _locked(self._lock):
            self._lock.close()
            raise JournalError(
                f"another run is writing to {folder}; wait for it, or use --change ID to start a separate change"
            ) from None
        try:
            self.entries, self._size = read(folder)
            self._file = (folder / FILE).open("ab")
            if self._file.tell() != self._size:  # the unfinished last line of a killed run
                self._file.truncate(self._size)
            self._sync = BackgroundSync(self._file.fileno())
        except JournalError:
            self._lock.close()
            raise
        except OSError as error:
            self._lock.close()
            raise UnwritableError(f"{folder / FILE} cannot be written: {error.strerror}") from None

    @property
    def head(self) -> str:
        """Return the hash of the last line."""
        return self.entries[-1].sha256 if self.entries else GENESIS

    def append(self, kind: str, body: Mapping[str, Any], *, wait: bool = True) -> Entry:
        """Write one entry, and wait until it and all before it are on disk. Raises JournalError (disk full).

        A failed write leaves no partial line. Without `wait` the entry has left this process, so that killing it loses
        nothing; `settle` waits for the disk.
        """
        at = utcnow()
        seq = len(self.entries) + 1
        record = {"seq": seq, "prev": self.head, "at": at.isoformat(), "kind": kind, **body}
        text = _LINE.encode(record)
        if may_hold(text):
            text = _LINE.encode(redact_values(record, keep=_OURS))
        unsealed = text.encode(errors="backslashreplace")  # a lone surrogate becomes a JSON escape
        line = unsealed[:-1] + _sealed(_own(unsealed))
        try:
            self._file.write(line + b"\n")
            self._file.flush()
            if wait:
                self._sync.wait()
                to_disk(self._file.fileno())
            else:
                self._sync.begin()
        except OSError as error:
            self._take_back()
            raise self._unwritable(error) from None
        self._size += len(line) + 1
        entry = Entry(seq, at, kind, json.loads(text), hashlib.sha256(line).hexdigest())
        self.entries.append(entry)
        return entry

    def settle(self) -> None:
        """Wait until all entries are on disk. Raises UnwritableError."""
        try:
            self._sync.wait()
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> UnwritableError:
        return UnwritableError(
            f"the journal {self.folder / FILE} cannot be written: {error.strerror}; "
            "free disk space and run again with --resume; nothing recorded so far is lost"
        )

    def _take_back(self) -> None:
        """Cut off what a failed write left, so that the next line does not start in the middle of another."""
        self._sync.close()
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            os.truncate(self.folder / FILE, self._size)
        with contextlib.suppress(OSError):
            self._file = (self.folder / FILE).open("ab")
            self._sync = BackgroundSync(self._file.fileno())

    def close(self) -> None:
        """Close the file and release the lock."""
        with contextlib.suppress(OSError):
            self._sync.wait()
        self._sync.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._lock.close()


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as the journal stores it: plain JSON types, times in ISO 8601."""
    # Not dataclasses.asdict, which copies every value: a run does this for each finding.
    return _shallow(finding) | {
        "at": finding.at.isoformat(),
        "verdict": finding.verdict.value,
        "readings": [_shallow(reading) for reading in finding.readings],
        "notes": list(finding.notes),
        "evidence": [_shallow(evidence) for evidence in finding.evidence],
        "figures": [
            dataclasses.asdict(figure) | {"kind": type(figure).__name__.lower()} for figure in finding.figures
        ],
    }


def _shallow(value: Any) -> dict[str, Any]:
    kind: type = type(value)
    names, values = _fields(kind)
    return dict(zip(names, values(value), strict=True))


@cache
def _fields(kind: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Return the names of a dataclass with two or more fields, and a function that returns their values."""
    names = tuple(field.name for field in dataclasses.fields(kind))
    return names, attrgetter(*names)


def finding_from_json(plain: Mapping[str, Any]) -> Finding:
    """Read a finding back. Raises JournalError for anything else."""
    try:
        return Finding(
            item=plain["item"],
            target=plain["target"],
            verdict=Verdict(plain["verdict"]),
            reason=plain["reason"],
            test=plain["test"],
            at=datetime.fromisoformat(plain["at"]),
            duration_s=plain["duration_s"],
            readings=tuple(Reading(**reading) for reading in plain["readings"]),
            criterion=plain["criterion"],
            notes=tuple(plain["notes"]),
            evidence=tuple(Evidence(**evidence) for evidence in plain["evidence"]),
            deferred_to=plain["deferred_to"],
            confirmed=plain["confirmed"],
            figures=tuple(map(_figure, plain.get("figures", ()))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"a finding in the journal cannot be read: {error}") from None


def _figure(plain: Mapping[str, Any]) -> Figure:
    own = {key: value for key, value in plain.items() if key != "kind"}
    match plain["kind"]:
        case "distribution":
            return Distribution(**own | {"points": _frozen(own["points"])})
        case "series":
            return Series(
                **own | {"lines": tuple(Line(line["name"], _frozen(line["points"])) for line in own["lines"])}
            )
        case "spans":
            return Spans(**own | {"rows": _frozen(own["rows"])})
    raise ValueError(f"unknown kind of figure {plain['kind']!r}")


def _frozen(value: Any) -> Any:
    """Turn JSON's lists back into tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as the journal and verdicts.json store it."""
    plain = dataclasses.asdict(decision)
    plain["at"] = decision.at.isoformat()
    plain["outcome"] = decision.outcome.value
    for rule in plain["rules"]:
        rule["says"] = str(rule["says"])
    return plain


def decision_from_json(plain: Mapping[str, Any]) -> Decision:
    """Read a decision back. Raises JournalError for anything else."""
    try:
        return Decision(
            outcome=Outcome(plain["outcome"]),
            scope=plain["scope"],
            exit_code=plain["exit_code"],
            rules=tuple(
                Rule(rule["name"], Outcome(rule["says"]), rule["because"], tuple(rule["items"]))
                for rule in plain["rules"]
            ),
            at=datetime.fromisoformat(plain["at"]),
            counts=dict(plain["counts"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"a decision in the journal cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class TestRecord:
    """The findings of one test in one run."""

    __test__ = False  # not a pytest test class

    run: str
    test: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """One run of a change: how it began, what it found, how it ended (`ended` is None for a killed run)."""

    run: str
    started: datetime
    begin: Mapping[str, Any]
    tests: tuple[TestRecord, ...]
    ended: datetime | None
    decision: Decision | None


def segments(entries: Sequence[Entry]) -> list[Segment]:
    """Return the runs of a journal in the order they began."""
    return [_segment(entry, entries) for entry in entries if entry.kind == "run"]


def _segment(begin: Entry, entries: Sequence[Entry]) -> Segment:
    run = begin.body["run"]
    mine = [entry for entry in entries if entry.body.get("run") == run]
    return Segment(
        run=run,
        started=begin.at,
        begin=begin.body,
        tests=tuple(_tests(run, mine)),
        ended=next((entry.at for entry in mine if entry.kind == "end"), None),
        decision=_last(mine, "decision", lambda body: decision_from_json(body["decision"])),
    )


def _tests(run: str, entries: Sequence[Entry]) -> Iterator[TestRecord]:
    for entry in entries:
        if entry.kind == "test":
            yield TestRecord(run, entry.body["test"], entry.findings)


def _last(
    entries: Sequence[Entry], kind: str, read_body: Callable[[Mapping[str, Any]], Decision]
) -> Decision | None:
    found = [entry for entry in entries if entry.kind == kind]
    return read_body(found[-1].body) if found else None
