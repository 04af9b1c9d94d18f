"""Where the tests' servers keep their data."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_ROOM = 6 * 1024**3


def server_folder(prefix: str) -> Path:
    """Create a folder that the servers' user can reach: in memory if there is room, else on disk.

    These tests create and delete thousands of files, which is slow on ext4: it skips over every inode deleted in the last
    minutes.
    """
    memory = Path("/dev/shm")
    roomy = (
        memory.is_dir()
        and not os.statvfs(memory).f_flag & os.ST_NOEXEC
        and shutil.disk_usage(memory).free > _ROOM
    )
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory if roomy else "/var/tmp"))
