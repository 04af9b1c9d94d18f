"""Dumps by `pg_dump` (custom format, `*.dump`) in a folder: for small databases. They hold a single point in time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from pytest_deploygate.checks.backups.facts import BackupSet, Store, Verification
from pytest_deploygate.checks.backups.probe.tools import free_bytes, volume_encryption
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.host.place import Done, Place
from pytest_deploygate.model import CannotTell

_PATH = "PATH=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH;"
# One line per dump: name, size, when it was last written, when it began (from the header that pg_restore prints).
_LIST = (
    _PATH
    + """
cd {} || exit 9
command -v pg_restore >/dev/null || exit 127
for each in *.dump; do
  [ -f "$each" ] || continue
  head=$(pg_restore -l "$each" 2>&1 | head -n 30)
  printf '%s|%s|%s|%s|%s\\n' "$each" "$(stat -c %s "$each")" "$(stat -c %Y "$each")" \\
    "$(printf %s "$head" | sed -n 's/^; Archive created at //p')" "$(printf %s "$head" | grep -m1 error)"
done
"""
)
#: A compressed dump grows when it is restored, indexes included.
_GROWS = 8


class PgDump:
    """Dumps in `repository`."""

    recovers = False

    def __init__(self, backup: Backup, place: Place) -> None:
        self.place = place
        self.folder = str(backup.repository)
        self.take = backup.take or ""
        self.name = f"dumps in {self.folder}"

    def backups(self) -> tuple[BackupSet, ...]:
        """Return the dumps whose table of contents can be read, oldest first."""
        done = self.place.run(_LIST, self.folder, timeout_s=120)
        if done.code == 127:
            raise CannotTell(f"pg_restore is not installed on {self.place.name}")
        if done.code:
            raise CannotTell(f"{self.folder} on {self.place.name} cannot be listed: {done.said}")
        found = [_dump(line.split("|", 4)) for line in done.output.splitlines() if line.count("|") >= 4]
        return tuple(sorted(found, key=lambda b: b.finished))

    def store(self) -> Store:
        """Return free space and encryption of the volume."""
        free = free_bytes(self.place, self.folder)
        problem = "" if free is not None else f"df returned nothing for {self.folder}"
        return Store(self.folder, volume_encryption(self.place, self.folder), None, free, problem)

    def segments(self) -> frozenset[str]:
        """Dumps have no WAL."""
        return frozenset()

    def verify(self, backup: BackupSet) -> Verification:
        """Read the whole dump: damage that prevents decompression is found, other damage is not."""
        began = time.monotonic()
        command = f"{_PATH} pg_restore -f /dev/null {{}}"
        done = self.place.run(command, f"{self.folder}/{backup.label}", timeout_s=3600)
        problems = tuple(filter(None, (backup.error, done.said if done.code else "")))
        return Verification(backup.label, "pg_restore to /dev/null", problems, time.monotonic() - began)

    def restore(self, backup: BackupSet, target: str, by: Place) -> Done:
        """Copy the dump beside `target`: it is loaded into a new server, which the drill creates there."""
        return by.run("cp {} {}", f"{self.folder}/{backup.label}", f"{target}.dump", timeout_s=3600)

    def restore_command(self, target: str) -> str:
        """There is nothing to recover with."""
        _ = target
        return ""

    def take_command(self) -> str:
        """Return the inventory's command."""
        return self.take


def _dump(fields: list[str]) -> BackupSet:
    name, size, written, created, error = fields
    finished = datetime.fromtimestamp(int(written), UTC)
    try:
        started = datetime.strptime(created.removesuffix(" UTC"), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        started = finished
    stored = int(size)
    return BackupSet(name, "dump", started, finished, stored * _GROWS, stored, error=error)
