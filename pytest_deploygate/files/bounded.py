"""Read a file that people name: only a file, only so much of it, and only text that can be written again.

A device or a FIFO may never end or never answer, and /proc has files whose size is 0 and whose end does not come. So
nothing is opened in a way that waits, only regular files are read, and of these at most as many bytes as the caller says.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

MB = 1024**2
#: The most that a file written by people may have; a checklist of 300 items has 60 kB.
WRITTEN = MB
#: The most for files that tools write (snapshots, reports of scanners, SQL).
MADE = 100 * MB
#: The most for one migration: it is read statement by statement, about 6 MB in a second.
SQL = 5 * MB
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
#: Half of a surrogate pair as JSON writes it.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class OddFileError(OSError):
    """This file is not one to read. `strerror` says why, `line` where its limit was reached (0: it was not read)."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(0, why)
        self.line = line


class OddTextError(ValueError):
    """The content is not text; the message says why, and `line` where."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.line = line


@contextlib.contextmanager
def opened(path: Path | str, buffering: int = -1) -> Iterator[BinaryIO]:
    """Open a regular file to read its bytes. Raises OSError, among them OddFileError for anything else."""
    _refuse_odd(Path(path).stat().st_mode)  # opening a device can do things by itself
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb", buffering=buffering) as file:  # noqa: PTH123
        _refuse_odd(os.fstat(descriptor).st_mode)
        yield file


def read(path: Path | str, most: int = WRITTEN) -> bytes:
    """Return the content of a regular file. Raises OSError, among them OddFileError for one that is odd or too large."""
    with opened(path, buffering=0) as file:
        said = os.fstat(file.fileno())
        if said.st_size == 0:
            return b""
        found = file.read(min(said.st_size, most) + 1)
        while len(found) <= most and (
            part := file.read(most + 1 - len(found))
        ):  # it grows, or the read was cut short
            found += part
    if len(found) > most:
        raise OddFileError(f"it is larger than {_size(most)}", found.count(b"\n") + 1)
    return found


def _refuse_odd(mode: int) -> None:
    for is_one, what in _KINDS:
        if is_one(mode):
            raise OddFileError(f"it is {what}, not a file")


def line_of(error: Exception) -> int:
    """Return the line that an error of this module names; 0 if it names none."""
    return int(getattr(error, "line", 0))


def text(path: Path | str, most: int = WRITTEN) -> str:
    """Return the text of a file in UTF-8, without a byte order mark. Raises OSError, OddTextError."""
    return decoded(read(path, most))


def decoded(raw: bytes) -> str:
    """Return bytes as text, without a byte order mark. Raises OddTextError with line and byte."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise OddTextError(
            f"is not UTF-8 text: byte {error.start + 1} is 0x{raw[error.start]:02x}", line
        ) from None


def from_json(raw: bytes, **options: Any) -> Any:
    """Return what JSON says. Raises OddTextError with the line, also for halves of surrogate pairs and endless nesting."""
    said = decoded(raw)
    try:
        found = json.loads(said, **options)
    except json.JSONDecodeError as error:
        raise OddTextError(f"is not JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise OddTextError("is not JSON: it is nested too deeply", 1) from None
    if half := _SURROGATE.search(raw):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            line = raw[: half.start()].count(b"\n") + 1
            raise OddTextError("has half of a surrogate pair, which is no character", line) from None
    return found


def _size(count: int) -> str:
    return f"{count // MB} MB" if count >= MB else f"{count // 1024} kB"
