"""The interface of all backup tools, and what several of them need."""

from __future__ import annotations

import shlex
from typing import Protocol

from pytest_deploygate.checks.backups.facts import BackupSet, Store, Verification
from pytest_deploygate.clients.host.place import Done, Place


class Tool(Protocol):
    """A backup tool. Each method raises CannotTell if the tool cannot be queried."""

    place: Place
    name: str
    #: False for a tool whose backups hold a single point in time (dumps).
    recovers: bool

    def backups(self) -> tuple[BackupSet, ...]:
        """Return the usable backups, oldest first. The last one is the latest."""
        ...

    def store(self) -> Store:
        """Return what is known of the repository."""
        ...

    def segments(self) -> frozenset[str]:
        """Return the names of the WAL segments that are in the archive."""
        ...

    def verify(self, backup: BackupSet) -> Verification:
        """Have the tool check one backup."""
        ...

    def restore(self, backup: BackupSet, target: str, by: Place) -> Done:
        """Put the data of a backup into the empty folder `target` (mode 0700), as the user of `by`."""
        ...

    def restore_command(self, target: str) -> str:
        """Return the `restore_command` with which a server in `target` fetches its WAL."""
        ...

    def take_command(self) -> str:
        """Return the command that takes a small backup; empty if the tool has none."""
        ...


def free_bytes(place: Place, folder: str) -> int | None:
    """Return the space available to us on a folder's file system; None if it is unknown."""
    done = place.run("df -P -B1 {} | tail -n 1", folder, timeout_s=20)
    fields = done.output.split()
    return int(fields[3]) if done.code == 0 and len(fields) >= 6 and fields[3].isdigit() else None


def volume_encryption(place: Place, folder: str) -> str | None:
    """Return `dm-crypt` if the folder is on an encrypted volume, empty if it is not, None if that is unknown."""
    done = place.run(
        'source=$(findmnt -no SOURCE -T {}) && case "$source" in /dev/*) lsblk -sno TYPE "$source";; *) exit 9;; esac',
        folder,
        timeout_s=20,
    )
    if done.code:
        return None
    return "dm-crypt" if "crypt" in done.output.split() else ""


def words(*parts: str) -> str:
    """Return a command line of quoted words."""
    return shlex.join(parts)
