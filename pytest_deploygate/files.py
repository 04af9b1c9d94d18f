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
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(3)}.part")
    try:
        unfinished.write_bytes(raw)
        with contextlib.suppress(FileNotFoundError):
            unfinished.chmod(stat.S_IMODE(path.stat().st_mode))
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
