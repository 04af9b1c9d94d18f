"""Where the tests' servers keep their data."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_ROOM = 6 * 1024**3


def server_folder(prefix: str) -> Path:
    """Make a folder that the servers' user can walk to: in memory where there is room, else on disk.

    These tests make and throw away thousands of files, for which ext4 is slow: it passes over every inode that was deleted
    in the last minutes.
    """
    memory = Path("/dev/shm")
    roomy = (
        memory.is_dir()
        and not os.statvfs(memory).f_flag & os.ST_NOEXEC
        and shutil.disk_usage(memory).free > _ROOM
    )
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory if roomy else "/var/tmp"))
