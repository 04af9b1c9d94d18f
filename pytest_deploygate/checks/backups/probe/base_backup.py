"""Plain base backups (pg_basebackup, format plain) in a folder, and their WAL archive."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from pytest_deploygate.checks.backups.facts import BackupSet, Store, Verification
from pytest_deploygate.checks.backups.probe import wal
from pytest_deploygate.checks.backups.probe.tools import free_bytes, volume_encryption, words
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.host.place import Done, Place
from pytest_deploygate.model import CannotTell

# One line per backup: name, its end (the manifest is written last), its size, start and WAL from backup_label, WAL range,
# system identifier.
_LIST = """
PATH={}:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH
cd {} || exit 9
for each in */; do
  each=${each%/}
  case "$each" in *.part|*.tmp) continue;; esac
  [ -f "$each/backup_label" ] || continue
  printf '%s|%s|%s|%s|%s|%s|%s\\n' "$each" "$(stat -c %Y "$each/backup_manifest" 2>/dev/null)" \\
    "$(du -sk "$each" | cut -f1)" "$(sed -n 's/^START TIME: //p' "$each/backup_label")" \\
    "$(sed -n 's/^START WAL LOCATION: .*(file \\(.*\\))/\\1/p' "$each/backup_label")" \\
    "$(tail -c 400 "$each/backup_manifest" 2>/dev/null | tr -d '\\n' | grep -o '"End-LSN": "[0-9A-F/]*"' | tail -n 1)" \\
    "$(LC_ALL=C pg_controldata "$each" 2>/dev/null | sed -n 's/^Database system identifier: *//p')"
done
"""
_COPY = """
from={} to={}
cp -a --reflink=auto "$from/." "$to/" && chmod 700 "$to" || exit 1
for link in "$to"/pg_tblspc/*; do
  [ -L "$link" ] || continue
  own="$to.tablespaces/${link##*/}"
  mkdir -p "$own" && cp -a --reflink=auto "$(readlink -f "$link")/." "$own/" && ln -sfn "$own" "$link" || exit 1
done
"""
_LSN = re.compile(r"([0-9A-F]+)/([0-9A-F]+)")


class BaseBackup:
    """Base backups in `repository`, WAL in `archive`."""

    recovers = True

    def __init__(self, backup: Backup, place: Place) -> None:
        self.place = place
        self.folder = str(backup.repository)
        self.archive = str(backup.archive) if backup.archive else ""
        self.fetch = backup.restore_command or ""
        self.take = backup.take or ""
        self.programs = (
            str(backup.scratch.programs) if backup.scratch and backup.scratch.programs else "/none"
        )
        self.name = f"base backups in {self.folder}"

    def backups(self) -> tuple[BackupSet, ...]:
        """Return the complete backups, oldest first. One without a manifest is incomplete, or cannot be verified."""
        done = self.place.run(_LIST, self.programs, self.folder, timeout_s=60)
        if done.code:
            raise CannotTell(f"{self.folder} on {self.place.name} cannot be listed: {done.said}")
        found = [_backup(line.split("|")) for line in done.output.splitlines()]
        return tuple(sorted((b for b in found if b), key=lambda b: b.finished))

    def store(self) -> Store:
        """Return free space and encryption of the volume; plain backups have no encryption or retention of their own."""
        free = free_bytes(self.place, self.folder)
        problem = "" if free is not None else f"df returned nothing for {self.folder}"
        return Store(self.folder, volume_encryption(self.place, self.folder), None, free, problem)

    def segments(self) -> frozenset[str]:
        """Return the segments in the archive folder, compressed or not."""
        if not self.archive:
            raise CannotTell("the archive has no folder that can be listed; name it with `backup.archive`")
        done = self.place.run("find {} -maxdepth 1 -type f -printf '%s %f\\n'", self.archive, timeout_s=60)
        if done.code:
            raise CannotTell(
                f"the WAL archive {self.archive} on {self.place.name} cannot be listed: {done.said}"
            )
        listed = (line.partition(" ") for line in done.output.splitlines())
        unfinished = (".part", ".tmp", ".partial", ".backup")
        return wal.whole({name: int(size) for size, _, name in listed if not name.endswith(unfinished)})

    def verify(self, backup: BackupSet) -> Verification:
        """Run pg_verifybackup: every file against the manifest's checksums, and the WAL that the backup contains."""
        began = time.monotonic()
        found = self.place.run(
            "PATH={}:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH; pg_verifybackup -q {}",
            self.programs,
            f"{self.folder}/{backup.label}",
            timeout_s=3600,
        )
        if found.code == 127:
            raise CannotTell(f"pg_verifybackup is not installed on {self.place.name}")
        if "unexpected manifest version" in found.said:
            raise CannotTell(
                f"pg_verifybackup on {self.place.name} is older than the backup; name the folder of PostgreSQL's programs with "
                "`scratch.programs`"
            )
        problems = tuple(found.said.split("pg_verifybackup: error: ")[:6]) if found.code else ()
        return Verification(
            backup.label, "pg_verifybackup", tuple(filter(None, problems)), time.monotonic() - began
        )

    def restore(self, backup: BackupSet, target: str, by: Place) -> Done:
        """Copy a backup's files, and what its tablespace links point to: the copy must not write into the backup."""
        return by.run(_COPY, f"{self.folder}/{backup.label}", target, timeout_s=24 * 3600)

    def restore_command(self, target: str) -> str:
        """Copy from the archive folder, or use the inventory's command."""
        _ = target
        return self.fetch or f'cp {words(self.archive)}/%f "%p"'

    def take_command(self) -> str:
        """Return the inventory's command: there is no convention for taking base backups."""
        return self.take


def _backup(fields: list[str]) -> BackupSet | None:
    if len(fields) != 7 or not fields[1].isdigit():
        return None
    label, ended, kilobytes, started, first, last, system_id = fields
    finished = datetime.fromtimestamp(int(ended), UTC)
    try:
        began = datetime.strptime(started.rpartition(" ")[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        began = finished
    size = int(kilobytes) * 1024
    where = _LSN.search(last)
    end = ""
    if where and wal.SEGMENT.fullmatch(first):
        # The segment size is not in the label; the end is near the start, assuming segments of the default 16 MB.
        position = (int(where[1], 16) << 32) + int(where[2], 16)
        end = wal.at(int(first[:8], 16), max(position - 1, 0), 16 * 1024**2)
    return BackupSet(label, "full", began, finished, size, size, first, end, system_id=system_id)
