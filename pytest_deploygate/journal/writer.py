"""The only writer of a journal, and its lock."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from pytest_deploygate.disk import BackgroundSync, to_disk
from pytest_deploygate.journal.errors import BusyError, JournalError, UnwritableError
from pytest_deploygate.journal.lines import CHECKPOINT, FILE, GENESIS, Entry, own_digest, sealed, utcnow
from pytest_deploygate.journal.reading import read
from pytest_deploygate.journal.signed import SIGNED, unnoted
from pytest_deploygate.redaction import may_hold, redact_values

#: Keys whose values are our own words, times and digests: they contain no secret, and masking would break reading.
#: `content` is evidence, which was masked before its digest was taken.
_OURS = frozenset(
    {
        "at",
        "content",
        "kind",
        "outcome",
        "prev",
        "run",
        "says",
        "seq",
        "severity",
        "sha256",
        "signature",
        "verdict",
    }
)
_LOCK = ".lock"
#: How many lines `append_all` writes at a time.
_AT_ONCE = 500
_LINE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


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
        self._went_on = False
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

    def note_signatures(self) -> None:
        """Name the signatures that are there and in no line, so that none can be removed unseen. Raises JournalError.

        The first line that is appended does so: what goes on voids them, and moves them aside.
        """
        if self._went_on:
            return
        self._went_on = True
        if new := unnoted(self.folder, self.entries):
            self.append(SIGNED, {"files": new})

    def append(self, kind: str, body: Mapping[str, Any], *, wait: bool = True, masked: bool = False) -> Entry:
        """Write one entry, and wait until it and all before it are on disk. Raises JournalError (disk full).

        A failed write leaves no partial line. Without `wait` the entry has left this process, so that killing it loses
        nothing; the next `append` that waits does so for all before it. `masked`: it contains no secret.
        """
        return self._write([(kind, body)], wait=wait, masked=masked)[0]

    def append_all(self, lines: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Entry]:
        """Write many entries, some at a time, without waiting for each; return them. Raises JournalError, as `append` does.

        For what other journals have recorded: the bodies are as they were read, and nothing is lost before the next
        `append` has waited.
        """
        left, made = iter(lines), list[Entry]()
        while some := list(itertools.islice(left, _AT_ONCE)):
            made += self._write(some, wait=False, masked=False, as_read=True)
        return made

    def _write(
        self,
        lines: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        wait: bool,
        masked: bool,
        as_read: bool = False,
    ) -> list[Entry]:
        """Write entries, all or none. `as_read`: they have only types that JSON has, and need not be read again."""
        if os.getpid() != self._process:
            raise JournalError(
                f"{self.folder / FILE} belongs to process {self._process}; process {os.getpid()}, a fork of it, must not write"
            )
        self.note_signatures()
        head, seq, size = self.head, self.last, self._size
        made: list[Entry] = []
        text = bytearray()
        for kind, body in lines:
            seq += 1
            at = utcnow()
            entry, line = _entry(seq, head, at, kind, body, size + len(text), masked=masked, as_read=as_read)
            made.append(entry)
            text += line + b"\n"
            head = entry.sha256
        try:
            self._file.write(text)
            self._file.flush()
            if wait:
                self._sync.wait()
                to_disk(self._file.fileno())
            else:
                self._sync.begin()
        except OSError as error:
            self._take_back()
            raise self._unwritable(error) from None
        self._size += len(text)
        self._digest.update(text)
        self.entries += made
        return made

    def settle(self) -> None:
        """Wait until every line is on the disk, also those that were appended without waiting. Raises JournalError."""
        try:
            self._sync.wait()
        except OSError as error:
            self._take_back()
            raise self._unwritable(error) from None

    def altered(self) -> str:
        """Say what happened to the folder since the journal was opened; empty if it holds what was written."""
        path = self.folder / FILE
        try:
            if not _is_there(path, self._file):
                return f"{path} was removed, renamed or replaced while the command wrote to it: its record is not there"
            raw = path.read_bytes()
        except (OSError, ValueError) as error:
            return f"{path} cannot be read again: {error}"
        if hashlib.sha256(raw).digest() != self._digest.digest():
            return f"{path} was changed by something else while the command wrote to it: the record is not what it wrote"
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


def _entry(
    seq: int,
    prev: str,
    at: datetime,
    kind: str,
    body: Mapping[str, Any],
    start: int,
    *,
    masked: bool,
    as_read: bool,
) -> tuple[Entry, bytes]:
    """Return an entry, and its line without the line feed."""
    record = {"seq": seq, "prev": prev, "at": at.isoformat(), "kind": kind, **body}
    text = _LINE.encode(record)
    if not masked and may_hold(text):
        record = redact_values(record, keep=_OURS)
        text = _LINE.encode(record)
    unsealed = text.encode(errors="backslashreplace")  # a lone surrogate becomes a JSON escape
    line = unsealed[:-1] + sealed(own_digest(unsealed))
    sha256 = hashlib.sha256(line).hexdigest()
    return Entry(seq, at, kind, record if as_read else json.loads(unsealed), sha256, start, len(line)), line


def _is_there(path: Path, file: IO[Any]) -> bool:
    """Tell whether a path names the file that is open. Raises OSError, and ValueError for a closed one."""
    try:
        there, opened = path.stat(), os.fstat(file.fileno())
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)
