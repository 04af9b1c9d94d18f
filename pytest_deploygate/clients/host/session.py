"""Ending a program that we started together with everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

#: The number of the field of /proc/PID/stat after the name: the session.
_SESSION = 3


def kill(leader: int) -> None:
    """Kill all processes of a session that we started.

    `timeout` and shells with job control put what they start into process groups of its own, so the leader's group is not all.
    """
    # Its descendants first: to look at all processes of a busy machine takes a second.
    for pid in (leader, *_below(leader)):
        _kill(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for pid in _members(leader):
        _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _below(pid: int) -> list[int]:
    """Return the descendants of a process; none where /proc does not tell them."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError):
            for child in map(int, task.read_text().split()):
                found += [child, *_below(child)]
    return found


def _members(leader: int) -> list[int]:
    """Return the processes of a session; none where there is no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (entry / "stat").read_text().rpartition(") ")[2].split()
            if int(fields[_SESSION]) == leader:
                found.append(int(entry.name))
    return found
