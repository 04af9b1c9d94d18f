"""The record of a watch: one append-only file that survives `kill -9` and power loss, and shows later changes.

A line is 16 hex digits, a space and a JSON object. The digits are the start of the SHA-256 of the previous
line's digits and the JSON, so a line that is changed, missing or inserted breaks the chain. Only the last line may be
unfinished: it is cut off when the watch continues. Objects are

    {"watch": 1, "inventory": …, "vantage": …, "t0": seconds since 1970, "targets": {name: the request}}     first
    {"run": 1, "at": …, "until": …, "every_s": 5.0, "pid": …}                       each start of the watch
    {"at": …, "n": name, "up": true, "ms": 3.1}       a sample; "up": null: our own network was down; "why"
    {"clock": -3600.0, "at": …}                       the system's clock was moved by this many seconds
    {"end": "complete" | "stopped", "at": …}          the watch ended normally
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.lazy import dataclass

VERSION = 1
_DIGITS = 16
_SYNC_EVERY_S = 1.0
_ATTEMPTS = 5


class RecordError(Exception):
    """A record that cannot be used; the text says which, where and why."""


@dataclass(frozen=True)
class Sample:
    """One answer. `at` in seconds since 1970; `up` is None if our own network was down."""

    at: float
    target: str
    up: bool | None
    took_ms: float
    why: str = ""


@dataclass(frozen=True)
class Run:
    """One start of the watch, with its samples in order of time, and what happened to the system's clock."""

    at: float
    until: float
    every_s: float
    pid: int
    samples: list[Sample] = field(default_factory=list)
    clock: list[tuple[float, float]] = field(default_factory=list)
    ended: str = ""


@dataclass(frozen=True)
class Record:
    """The content of a file. `good_bytes` is its length without an unfinished last line."""

    file: str
    inventory: str
    vantage: str
    t0: float
    targets: dict[str, str]
    runs: tuple[Run, ...]
    good_bytes: int
    head: str
    torn: bool
    sha256: str


def read(file: Path | str) -> Record:
    """Read a record, also one that is being written. Raises RecordError when it is not one or was changed."""
    try:
        raw = bounded.read(file, bounded.MADE)
    except OSError as error:
        raise RecordError(f"{file} cannot be read: {error.strerror}") from None
    head, good, entries = "", 0, []
    lines = raw.split(b"\n")
    rest = lines.pop()
    for number, line in enumerate(lines, 1):
        entry, digits = _checked(line, head)
        if entry is None:
            if number == len(lines) and not rest and not _is_whole(line):
                rest = line
                break
            raise RecordError(
                f"{file}:{number}: this line is not as it was written: the record was changed, or lines are missing;"
                " use the original file of the watch"
            )
        entries.append(entry)
        head, good = digits, good + len(line) + 1
    return _record(str(file), entries, good, head, torn=bool(rest), sha256=sha256(raw))


def _checked(line: bytes, head: str) -> tuple[dict[str, Any] | None, str]:
    digits, _, text = line.partition(b" ")
    if digits.decode(errors="replace") != _digits(head, text):
        return None, ""
    try:
        entry = json.loads(text)
    except ValueError:
        return None, ""
    return (entry if isinstance(entry, dict) else None), digits.decode()


def _is_whole(line: bytes) -> bool:
    """Return whether a line was written completely (and then changed), unlike what power loss leaves."""
    try:
        return isinstance(json.loads(line.partition(b" ")[2]), dict)
    except ValueError:
        return False


def _digits(head: str, text: bytes) -> str:
    return sha256(head.encode() + text)[:_DIGITS]


def _record(
    file: str, entries: list[dict[str, Any]], good: int, head: str, *, torn: bool, sha256: str
) -> Record:
    if not entries or entries[0].get("watch") != VERSION:
        raise RecordError(f"{file} is not a record of `deploygate watch`, or its first line was lost")
    first, runs = entries[0], list[Run]()
    try:
        for number, entry in enumerate(entries[1:], 2):
            _take(entry, runs, number, file)
        return Record(
            file,
            str(first["inventory"]),
            str(first["vantage"]),
            float(first["t0"]),
            {str(name): str(what) for name, what in first["targets"].items()},
            tuple(runs),
            good,
            head,
            torn,
            sha256,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{file} has a line that this version does not understand: {error!r}") from None


def _take(entry: dict[str, Any], runs: list[Run], number: int, file: str) -> None:
    if "run" in entry:
        at, until, every_s = (float(entry[key]) for key in ("at", "until", "every_s"))
        runs.append(Run(at, until, every_s, int(entry["pid"])))
        return
    if not runs:
        raise RecordError(f"{file}:{number}: a sample before the watch was started")
    if "clock" in entry:
        runs[-1].clock.append((float(entry["at"]), float(entry["clock"])))
    elif "end" in entry:
        runs[-1] = replace(runs[-1], ended=str(entry["end"]))
    else:
        up = entry["up"]
        if up is not None and not isinstance(up, bool):
            raise ValueError(f"up is {up!r}")
        took_ms, why = float(entry["ms"]), str(entry.get("why", ""))
        runs[-1].samples.append(Sample(float(entry["at"]), str(entry["n"]), up, took_ms, why))


class Writer:
    """Locks a record and appends to it. Raises RecordError if another process holds it or it is another watch's."""

    def __init__(self, file: Path, header: dict[str, Any]) -> None:
        """Open or create the record of `header` (`inventory`, `vantage`, `t0`, `targets`)."""
        self.file = file
        self._descriptor = _held(file)
        self._synced = 0.0
        try:
            self.t0 = self._begin(header)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _begin(self, header: dict[str, Any]) -> float:
        self._head = ""
        if self.file.stat().st_size == 0 or self._only_a_torn_header():
            os.ftruncate(self._descriptor, 0)
            self.append({"watch": VERSION, **header}, sync=True)
            _sync_folder(self.file.parent)
            return float(header["t0"])
        found = read(self.file)
        _same(found, header)
        os.ftruncate(self._descriptor, found.good_bytes)
        self._head = found.head
        return found.t0

    def _only_a_torn_header(self) -> bool:
        return b"\n" not in self.file.read_bytes()

    def append(self, entry: dict[str, Any], *, sync: bool = False) -> None:
        """Write one line in one call; it survives our own crash at once, and power loss within a second."""
        text = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()
        digits = _digits(self._head, text)
        line = digits.encode() + b" " + text + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise RecordError(f"{self.file} cannot be extended: the disk is full")
        self._head = digits
        if sync or time.monotonic() - self._synced >= _SYNC_EVERY_S:
            os.fdatasync(self._descriptor)
            self._synced = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def _held(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RecordError(f"{file} cannot be written: {error.strerror}") from None
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)  # a process that only checks the lock holds it for a moment
        else:
            return descriptor
    os.close(descriptor)
    raise RecordError(f"{file} is in use by a running watch; {_who(file)}")


def _who(file: Path) -> str:
    pid = running(file)
    return f"it is process {pid}; `deploygate watch --stop` stops it" if pid else "try again in a moment"


def _same(found: Record, header: dict[str, Any]) -> None:
    """Raise RecordError unless the record is of the same inventory, vantage point and targets."""
    mine = {"inventory": found.inventory, "vantage": found.vantage, "targets": found.targets}
    for key, value in mine.items():
        if value != header[key]:
            raise RecordError(
                f"{found.file} is of another {key.removesuffix('s')}: it has {_said(value)}, now it is {_said(header[key])};"
                " name another file with --record, or move this one away"
            )


def _said(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {what}" for name, what in value.items())
    return repr(value)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def running(file: Path) -> int | None:
    """Return the process that is writing a record; None if there is none on this host."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        runs = read(file).runs
        return runs[-1].pid if runs else None
    finally:
        os.close(descriptor)
    return None
