"""Files that are written whole or not at all, and their digests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader finds the old content or the new one, never a part. Raises OSError.

    The content goes to a hidden file beside it, which then replaces it. If that fails, the hidden file is removed and
    the old content stays. An existing file keeps its permissions.
    """
    raw = content.encode() if isinstance(content, str) else content
    folder, name = os.path.split(path)
    unfinished = os.path.join(folder, f".{name}.{os.getpid()}.{secrets.token_hex(3)}.part")  # noqa: PTH118
    # Not pathlib: a run writes a file for each finding, and paths as objects take longer than the file.
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


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
