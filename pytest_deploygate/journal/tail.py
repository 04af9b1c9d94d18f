"""Reading a journal that another process writes: each line once, verified as it goes, and none kept.

What was read before is hashed again when the file could be another one, and now and then: a journal is only appended to,
so bytes that changed behind us mean that it is not the one that was read.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from pytest_deploygate.files import bounded
from pytest_deploygate.journal.errors import ODD, JournalError
from pytest_deploygate.journal.lines import (
    CHECKPOINT,
    FILE,
    GENESIS,
    MOST_BYTES,
    Entry,
    holds,
    parse_line,
    refuse_untrue,
)
from pytest_deploygate.journal.reading import in_place_of, kept_lines

_MARK = b'"kind":"checkpoint"'
#: More than this of a first line identifies no journal any better.
_FIRST_LINE = 65_536
_PART = 1 << 18
#: Hashing again what was read before takes at most one of so many seconds, unless the caller must be sure.
_SHARE = 50.0

Stamp = tuple[int, ...]


class Gone(StrEnum):
    """How a file is no longer the one that was read."""

    NO = ""
    REPLACED = "replaced"
    SHORTER = "shorter"
    CHANGED = "changed"


class Tail:
    """Reads what is new in the journal of a folder. Not for several threads.

    `first` tells whether a journal was ever seen here. `unfinished` tells whether its last line has no end yet.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.first, self.unfinished = b"", False
        self._whole, self._file = 0, (0, 0)
        self._hashed = self._took_s = 0.0
        self.forget()

    def forget(self) -> None:
        """Begin again with the first line."""
        self._number, self._previous, self._offset = 0, GENESIS, 0
        self._digest, self._owed = hashlib.sha256(), False

    def stamp(self) -> Stamp | None:
        """Return what changes whenever the file does; None without a file."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return (-1, error.errno or 0)
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def owes(self) -> bool:
        """Tell whether it is time to hash again what was read, because the file has changed since that was done."""
        return self._owed and self._may_hash()

    def gone(self, file: BinaryIO, *, sure: bool) -> Gone:
        """Tell whether the file is still the one that was read; if not, it will be read from its first line on.

        Unless it must be `sure`, bytes that changed are noticed a while later where hashing them takes long.
        """
        said = os.fstat(file.fileno())
        file.seek(0)
        first = hashlib.sha256(file.readline(_FIRST_LINE)).digest() if said.st_size else b""
        other = (said.st_dev, said.st_ino) != self._file
        found = Gone.NO
        if self.first and first and first != self.first:
            found = Gone.REPLACED
        elif said.st_size < self._whole:
            found = Gone.SHORTER
        elif self._offset and (sure or other or self._may_hash()):
            found = Gone.NO if self._same(file) else Gone.CHANGED
        elif self._offset:
            self._owed = True
        self.first, self._file = first or self.first, (said.st_dev, said.st_ino)
        if found:
            self._whole = 0
            self.forget()
        return found

    def lines(self, file: BinaryIO) -> Iterator[Entry]:
        """Yield the lines that were not read yet. Raises OSError, JournalError.

        Those before the last checkpoint are not all parsed, as `read` does it; but what stands for them comes first.
        """
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise bounded.OddFileError(f"it is larger than {MOST_BYTES // bounded.MB} MB")
        if not self._offset:
            yield from self._condensed(file)
        file.seek(self._offset)
        self.unfinished = False
        for line in file:
            if not line.endswith(b"\n"):
                self.unfinished = True
                return
            entry = parse_line(line[:-1], self._number + 1, self._previous, self._offset, self.path)
            refuse_untrue(entry, self._digest, self.path)
            self._digest.update(line)
            self._number, self._previous = entry.seq, entry.sha256
            self._offset += len(line)
            self._whole = self._offset
            del line  # the first one of a run is long, and so is what is made of it
            yield entry

    def _may_hash(self) -> bool:
        return time.monotonic() - self._hashed >= self._took_s * _SHARE

    def _same(self, file: BinaryIO) -> bool:
        began, digest, left = time.monotonic(), hashlib.sha256(), self._offset
        file.seek(0)
        while left and (part := file.read(min(left, _PART))):
            digest.update(part)
            left -= len(part)
        self._hashed = time.monotonic()
        self._took_s, self._owed = self._hashed - began, False
        return digest.digest() == self._digest.digest()

    def _condensed(self, file: BinaryIO) -> Iterator[Entry]:
        """Yield what a last checkpoint says of the lines before it, and go on behind it; nothing if there is none that holds."""
        found = self._last_checkpoint(file)
        if found is None:
            return
        point, digest = found

        def bytes_at(start: int, length: int) -> bytes:
            file.seek(start)
            return file.read(length)

        yield in_place_of(point, self.path)
        yield from kept_lines(point, bytes_at, self.path)
        self._number, self._previous, self._digest = point.seq, point.sha256, digest
        self._offset = point.start + point.length + 1

    def _last_checkpoint(self, file: BinaryIO) -> tuple[Entry, hashlib._Hash] | None:
        """Return the last checkpoint with the digest of all up to its end; None if it does not hold for what is before it."""
        file.seek(0)
        found, digest, start, before = None, hashlib.sha256(), 0, b""
        for line in file:
            if not line.endswith(b"\n"):
                break
            if marked := _MARK in line:
                found = self._holding(line[:-1], start, before, digest)
            digest.update(line)
            if marked and found:
                found = found[0], digest.copy()
            start, before = start + len(line), line[:-1]
        return found

    def _holding(
        self, line: bytes, start: int, before: bytes, digest: hashlib._Hash
    ) -> tuple[Entry, hashlib._Hash] | None:
        try:
            body = json.loads(line)
            entry = parse_line(line, body["seq"], body["prev"], start, self.path)
            follows = hashlib.sha256(before).hexdigest() == body["prev"]
            return (entry, digest) if entry.kind == CHECKPOINT and follows and holds(entry, digest) else None
        except (*ODD, JournalError):
            return None
