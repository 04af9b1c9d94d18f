"""Files that are written whole or not at all, and their digests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

from pytest_deploygate.files import bounded


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader finds the old content or the new one, never a part. Raises OSError.

    The content goes to a hidden file beside it, which then replaces it. If that fails, the hidden file is removed and
    the old content stays. An existing file keeps its permissions.
    """
    # Half of a surrogate pair, which JSON may hold, is written as its escape.
    raw = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    folder, name = os.path.split(path)
    unfinished = os.path.join(folder, f".{name}.{os.getpid()}.{secrets.token_hex(3)}.part")  # noqa: PTH118
    try:
        with open(unfinished, "xb", buffering=0) as file:  # noqa: PTH123
            left = memoryview(raw)
            while left:
                left = left[file.write(left) :]
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))  # noqa: PTH116
        os.replace(unfinished, path)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108
        raise


def write_new(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file whose name says its content (it has its digest), unless it is there. Raises OSError.

    A process that is killed may leave a part. Whoever writes the same content again completes it, and nobody has been
    told of the file before this returns. So it needs no second name, which takes longer than the content.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        there = Path(path)
        if there.read_bytes() != content:
            write_whole(there, content)
        return
    try:
        try:
            if mode & 0o077:
                os.fchmod(descriptor, mode)  # what the umask took
            left = content
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108
        raise


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def holds(file: Path, content: str) -> bool:
    """Tell whether a file can be read and has this content."""
    return as_recorded(file, sha256(content.encode()))


def as_recorded(file: Path, digest: str) -> bool:
    """Tell whether a file can be read and has this SHA-256."""
    try:
        return sha256(bounded.read(file, bounded.MADE)) == digest
    except OSError:
        return False
