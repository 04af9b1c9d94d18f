"""The journal: append-only JSON lines, each with the hash of the one before, fsynced. The only source of truth.

Line: `{"at": ISO 8601 UTC, "kind": …, …, "prev": sha256 of the line before, "seq": n, "own": sha256 of this line up to
here}`. `own` comes last so that damage is detected in the last line too, which no other line covers. Kinds: `run`
(a segment begins), `test` (one test's findings, written as one line so that a killed run never leaves half of them),
`decision`, `end` (a segment ended by itself), `checkpoint`. Everything else (decision, report, exit code) is computed
from the journal.

A checkpoint holds the SHA-256 of all bytes before it, names the lines that still count, and says the rest in short
(`decision/condensed.py`). `read` hashes what is before the last checkpoint and parses only the lines that it names, so that
a change of 200 runs is read as quickly as its first. `parse` reads every line; `deploygate verify` does, and computes
each checkpoint again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import itertools
import json
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

from pytest_deploygate.disk import BackgroundSync, to_disk
from pytest_deploygate.files import bounded
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
#: The most that is read of a journal: 200 runs of 5,000 findings.
MOST_BYTES = 1024 * bounded.MB
#: Kind of the line that stands for those before it.
CHECKPOINT = "checkpoint"
#: Kind of the entry, not a line, that `read` returns in place of the lines before a checkpoint which it did not parse.
CONDENSED = "condensed"
_LOCK = ".lock"
_LINE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


class JournalError(Exception):
    """The journal cannot be read or written; the message names the line, the cause and the next step."""


class UnwritableError(JournalError):
    """The disk is full or the folder is not writable: evidence cannot be stored (exit code 25)."""


class BusyError(JournalError):
    """Another process writes to the folder: nothing was done, and nothing is wrong (exit code 4)."""


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


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turn an entry with another shape than ours into a JournalError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise JournalError(f"the journal has an entry that this version cannot read: {error!r}") from None


def utcnow() -> datetime:
    """Return the current time, aware and in UTC, to the millisecond (the journal's precision)."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def read(folder: Path) -> tuple[list[Entry], int]:
    """Read a change's journal; return the entries that still count and the length in bytes of its complete lines.

    Every byte is verified: by the digest in the last checkpoint up to there, then line by line. An unfinished last line
    (a killed run) is left out. Raises JournalError if the chain is broken.
    """
    path = folder / FILE
    try:
        raw = bounded.read(path, MOST_BYTES)
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from None
    whole = raw.rfind(b"\n") + 1
    point = _last_checkpoint(raw, whole, path)
    if point is None:
        return parse(raw, path)
    try:
        kept = [_kept(raw[start : start + length], start, path) for start, length in point.body["kept"]]
        short = Entry(point.seq, point.at, CONDENSED, point.body, point.sha256, point.start, point.length)
        for run in point.body["runs"]:
            _condensed(run, ())
        numbers = [point.body["numbers"], *(said for _, said in point.body["before"])]
        for _item, _target, _name, values in itertools.chain.from_iterable(numbers):
            sum(values)
        Counter(dict(point.body["earlier"])).update({"": 0})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise JournalError(
            f"{path}:{point.seq}: this checkpoint cannot be read; the record was damaged or edited. "
            "Move the folder aside (--fresh) and run again"
        ) from None
    return [*kept, short, *_chained(raw, point.start + point.length + 1, point, path)], whole


def _last_checkpoint(raw: bytes, whole: int, path: Path) -> Entry | None:
    """Return the last checkpoint if it holds for the bytes before it; None if there is none, or it does not.

    Then all lines must be parsed, which finds the one that is wrong.
    """
    found = raw.rfind(b'"kind":"checkpoint"', 0, whole)
    if found < 0:
        return None
    start = raw.rfind(b"\n", 0, found) + 1
    line = raw[start : raw.index(b"\n", found)]
    try:
        body = json.loads(line)
        entry = _parse(line, body["seq"], body["prev"], start, path)
        before = raw[raw.rfind(b"\n", 0, start - 1) + 1 : start - 1]
    except (ValueError, KeyError, TypeError, RecursionError, JournalError):
        return None
    chained = hashlib.sha256(before).hexdigest() == body["prev"]
    return (
        entry
        if entry.kind == CHECKPOINT and chained and _holds(entry, hashlib.sha256(memoryview(raw)[:start]))
        else None
    )


def _holds(point: Entry, before: hashlib._Hash) -> bool:
    """Tell whether a checkpoint is about the bytes before it."""
    return bool(point.body.get("sha256") == before.hexdigest())


def _kept(line: bytes, start: int, path: Path) -> Entry:
    """Read a line that a checkpoint names; the checkpoint's digest has verified it. Raises KeyError, TypeError, ValueError."""
    body = json.loads(line)
    return _parse(line, body["seq"], body["prev"], start, path)


def _chained(raw: bytes, start: int, before: Entry | None, path: Path) -> list[Entry]:
    """Verify and return the complete lines from `start` on; `before` is the entry before them."""
    entries: list[Entry] = []
    number, previous = (before.seq, before.sha256) if before else (0, GENESIS)
    digest = None if start else hashlib.sha256()
    for line in raw[start : raw.rfind(b"\n") + 1].split(b"\n")[:-1]:
        number += 1
        entry = _parse(line, number, previous, start, path)
        if digest is not None:
            if entry.kind == CHECKPOINT and not _holds(entry, digest):
                raise JournalError(
                    f"{path}:{number}: this checkpoint is not of the lines before it; the record was damaged or edited. "
                    "Move the folder aside (--fresh) and run again"
                )
            digest.update(line + b"\n")
        entries.append(entry)
        previous, start = entry.sha256, start + len(line) + 1
    return entries


def parse(raw: bytes, path: Path) -> tuple[list[Entry], int]:
    """Verify every line of a journal's bytes and return all; `path` is for error messages.

    Lines end in a line feed only: any other line end is a change that the hashes must show.
    """
    return _chained(raw, 0, None, path), raw.rfind(b"\n") + 1


def _parse(line: bytes, number: int, previous: str, start: int, path: Path) -> Entry:
    try:
        body = json.loads(line)
        own, seq, prev, kind, at = (
            body["own"],
            body["seq"],
            body["prev"],
            body["kind"],
            datetime.fromisoformat(body["at"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
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
    return Entry(seq, at, kind, body, hashlib.sha256(line).hexdigest(), start, len(line))


def _own(line: bytes) -> str:
    """Return the digest of a line without its seal."""
    return hashlib.sha256(line).hexdigest()


def _sealed(own: str) -> bytes:
    """Return the end of a line that holds its own digest."""
    return f',"own":"{own}"}}'.encode()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder that exists, so that no run writes to it. Raises JournalError if one does."""
    try:
        lock = (folder / _LOCK).open("a+")
    except OSError as error:
        raise UnwritableError(f"nothing can be written to {folder}: {error.strerror}") from None
    with lock:
        if not _locked(lock):
            raise BusyError(_busy(folder))
        yield


def _busy(folder: Path) -> str:
    return f"another run is writing to {folder}; wait for it, or use --change ID to start a separate change"


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


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Writer:
    """The only writer of a change's journal; holds a lock on the folder while open.

    It belongs to the process that opened it: a fork of it has the lock and the open file, too, and must not write.
    """

    def __init__(self, folder: Path, mode: int | None = None) -> None:
        """Open the journal of `folder` for appending. Raises JournalError: locked, damaged, not writable.

        `mode` are its permissions from now on; None: a new one is its owner's alone, and an existing one keeps them.
        """
        self.folder = folder
        self._process = os.getpid()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / _LOCK).open("a+")
        except OSError as error:
            raise UnwritableError(f"nothing can be written to {folder}: {error.strerror}") from None
        # A run with --fresh may have renamed the folder while this one waited for its lock.
        if not _locked(self._lock) or not _is_there(folder / _LOCK, self._lock):
            self._lock.close()
            raise BusyError(_busy(folder)) from None
        try:
            self.entries, self._size = read(folder)
            self._file = open(folder / FILE, "ab", opener=_private)  # noqa: SIM115 (closed by `close`)
            if mode is not None and mode != stat.S_IMODE(os.fstat(self._file.fileno()).st_mode):
                with contextlib.suppress(
                    PermissionError
                ):  # another user's journal, which this one may write to
                    os.fchmod(self._file.fileno(), mode)
            if self._file.tell() != self._size:  # the unfinished last line of a killed run
                self._file.truncate(self._size)
            # Of all that the file holds, so that a change by something else shows, also in lines that were not parsed.
            self._digest = hashlib.sha256(memoryview((folder / FILE).read_bytes())[: self._size])
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

    @property
    def last(self) -> int:
        """Return the number of the last line."""
        return self.entries[-1].seq if self.entries else 0

    def checkpoint(self, condensed: Mapping[str, Any]) -> Entry:
        """Write what stands for all lines so far. It says only what they say: nothing in it is masked again."""
        return self.append(CHECKPOINT, {"sha256": self._digest.hexdigest(), **condensed}, masked=True)

    def append(self, kind: str, body: Mapping[str, Any], *, wait: bool = True, masked: bool = False) -> Entry:
        """Write one entry, and wait until it and all before it are on disk. Raises JournalError (disk full).

        A failed write leaves no partial line. Without `wait` the entry has left this process, so that killing it loses
        nothing; `settle` waits for the disk. `masked`: it contains no secret.
        """
        if os.getpid() != self._process:
            raise JournalError(
                f"{self.folder / FILE} belongs to process {self._process}; process {os.getpid()}, a fork of it, must not write"
            )
        at = utcnow()
        seq = self.last + 1
        record = {"seq": seq, "prev": self.head, "at": at.isoformat(), "kind": kind, **body}
        text = _LINE.encode(record)
        if not masked and may_hold(text):
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
        entry = Entry(
            seq, at, kind, json.loads(unsealed), hashlib.sha256(line).hexdigest(), self._size, len(line)
        )
        self._size += len(line) + 1
        self._digest.update(line + b"\n")
        self.entries.append(entry)
        return entry

    def settle(self) -> None:
        """Wait until all entries are on disk. Raises UnwritableError."""
        try:
            self._sync.wait()
        except OSError as error:
            raise self._unwritable(error) from None

    def altered(self) -> str:
        """Say what happened to the folder since the journal was opened; empty if it holds what was written."""
        path = self.folder / FILE
        try:
            if not _is_there(path, self._file):
                return f"{path} was removed, renamed or replaced while the run wrote to it: the run's record is not there"
            raw = path.read_bytes()
        except (OSError, ValueError) as error:
            return f"{path} cannot be read again: {error}"
        if hashlib.sha256(raw).digest() != self._digest.digest():
            return f"{path} was changed by something else while the run wrote to it: the record is not what was measured"
        return ""

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


def _is_there(path: Path, file: IO[Any]) -> bool:
    """Tell whether a path names the file that is open. Raises OSError, and ValueError for a closed one."""
    try:
        there, opened = path.stat(), os.fstat(file.fileno())
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)


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
    """One run of a change: how it began, what it found, how it ended (`ended` is None for a killed run).

    `seq` is the number of its first line, `latest` the time of its last. Of a run that a checkpoint condensed, `begin` and
    `decision` are in short, and `tests` are those that still count.
    """

    run: str
    seq: int
    started: datetime
    begin: Mapping[str, Any]
    tests: tuple[TestRecord, ...]
    ended: datetime | None
    decision: Decision | None
    latest: datetime


def segments(entries: Sequence[Entry]) -> list[Segment]:
    """Return the runs of a journal in the order they began."""
    lines: dict[str, list[Entry]] = {}
    short: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        if entry.kind == CONDENSED:
            short = {one["run"]: one for one in entry.body["runs"]}
        elif (run := entry.body.get("run")) is not None:
            lines.setdefault(run, []).append(entry)
    begun = {entry.body["run"]: entry for entry in entries if entry.kind == "run"}
    found = [_segment(begin, lines[run]) for run, begin in begun.items()]
    found += [_condensed(one, lines.get(run, ())) for run, one in short.items() if run not in begun]
    return sorted(found, key=lambda segment: segment.seq)


def _segment(begin: Entry, mine: Sequence[Entry]) -> Segment:
    run = begin.body["run"]
    return Segment(
        run=run,
        seq=begin.seq,
        started=begin.at,
        begin=begin.body,
        tests=tuple(_tests(run, mine)),
        ended=next((entry.at for entry in mine if entry.kind == "end"), None),
        decision=_last(mine, "decision", lambda body: decision_from_json(body["decision"])),
        latest=max(entry.at for entry in mine),
    )


def _condensed(plain: Mapping[str, Any], mine: Sequence[Entry]) -> Segment:
    """Read a run that a checkpoint has in short; `mine` are those of its lines that still count."""
    return Segment(
        run=plain["run"],
        seq=plain["seq"],
        started=datetime.fromisoformat(plain["started"]),
        begin=plain["begin"],
        tests=tuple(_tests(plain["run"], mine)),
        ended=datetime.fromisoformat(plain["ended"]) if plain["ended"] else None,
        decision=decision_from_json(plain["decision"]) if plain["decision"] else None,
        latest=datetime.fromisoformat(plain["latest"]),
    )


def condensed(entries: Sequence[Entry]) -> Entry | None:
    """Return the entry that stands for the lines which `read` did not parse; None if it parsed all."""
    return next((entry for entry in entries if entry.kind == CONDENSED), None)


def _tests(run: str, entries: Sequence[Entry]) -> Iterator[TestRecord]:
    for entry in entries:
        if entry.kind == "test":
            yield TestRecord(run, entry.body["test"], entry.findings)


def _last(
    entries: Sequence[Entry], kind: str, read_body: Callable[[Mapping[str, Any]], Decision]
) -> Decision | None:
    found = [entry for entry in entries if entry.kind == kind]
    return read_body(found[-1].body) if found else None
