"""Dumps by `pg_dump` in a folder, for small databases: custom format, tar, or plain SQL. They hold a single point in time.

A folder (`--format=directory`) is a dump too.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from pytest_deploygate.checks.backups.facts import BackupSet, Store, Verification
from pytest_deploygate.checks.backups.probe import dump_listing
from pytest_deploygate.checks.backups.probe.dump_listing import PATH, Listing, is_script
from pytest_deploygate.checks.backups.probe.tools import free_bytes, volume_encryption
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.host.place import Done, Place
from pytest_deploygate.model import CannotTell

# One line per dump: name, size, when it was last written, when it began, the database, what is wrong with it. A dump's
# header has the clock of the host that made it, without a zone: `date` reads it in this host's zone.
_LIST = (
    PATH
    + r"""
cd {} || exit 9
command -v pg_restore >/dev/null || exit 127
for each in *.dump *.backup *.tar */toc.dat; do
  [ -f "$each" ] || continue
  each=${each%/toc.dat}
  head=$(pg_restore -l "$each" 2>&1 | head -n 30)
  began=$(printf %s "$head" | sed -n 's/^; Archive created at \([-0-9]* [:0-9]*\).*/\1/p')
  printf '%s|%s|%s|%s|%s|%s\n' "$each" "$(du -sb "$each" | cut -f1)" "$(stat -c %Y "$each")" \
    "$([ -n "$began" ] && date -d "$began" +%s)" "$(printf %s "$head" | sed -n 's/^; *dbname: //p')" \
    "$(printf %s "$head" | grep -m1 error)"
done
for each in *.sql *.sql.gz; do
  [ -f "$each" ] || continue
  case "$each" in *.gz) unpack=zcat;; *) unpack=cat;; esac
  head=$($unpack "$each" 2>/dev/null | head -n 40)
  case "$head" in
    *"PostgreSQL database cluster dump"*) bad="made by pg_dumpall, which the drill does not load: add a dump by pg_dump -Fc";;
    *"PostgreSQL database dump"*) bad="";;
    *) bad="not made by pg_dump: its first lines do not say so";;
  esac
  if [ -z "$bad" ] && ! $unpack "$each" 2>/dev/null | tail -n 20 | grep -q "PostgreSQL database dump complete"; then
    bad="it ends before pg_dump's last line (database dump complete)"
  fi
  printf '%s|%s|%s|%s|%s|%s\n' "$each" "$(stat -c %s "$each")" "$(stat -c %Y "$each")" "" "" "$bad"
done
"""
)
#: Data that is not compressed says nothing of its length; the rows of a table end with two line ends (pg_dump's source).
_CUT_OFF = (
    'cd {} 2>/dev/null || exit 0; for each in [0-9]*.dat; do [ -f "$each" ] || continue;'
    ' [ "$(tail -c 2 "$each" | od -An -tx1 | tr -d \' \\n\')" = 0a0a ] || echo "$each"; done'
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
        found = [_dump(line.split("|", 5)) for line in done.output.splitlines() if line.count("|") >= 5]
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
        how = "read to its last line" if is_script(backup.label) else "pg_restore to /dev/null"
        reading = "gzip -t {}" if backup.label.endswith(".gz") else f"{PATH} pg_restore -f /dev/null {{}}"
        problem = ""
        if not backup.label.endswith(".sql"):
            done = self.place.run(reading, f"{self.folder}/{backup.label}", timeout_s=3600)
            problem = done.said if done.code else ""
        if not problem and not is_script(backup.label):
            cut = self.place.run(_CUT_OFF, f"{self.folder}/{backup.label}", timeout_s=600).output.split()
            problem = f"{', '.join(cut[:3])} ends before the last line of a table's rows" if cut else ""
        # What is wrong with the whole of it is judged with the backup itself.
        return Verification(backup.label, how, (problem,) if problem else (), time.monotonic() - began)

    def listing(self, backup: BackupSet) -> Listing:
        """Return a dump's table of contents. Raises CannotTell."""
        return dump_listing.read(self.place, "pg_restore", f"{self.folder}/{backup.label}", backup.label)

    def restore(self, backup: BackupSet, target: str, by: Place) -> Done:
        """Copy the dump beside `target`: it is loaded into a new server, which the drill creates there."""
        return by.run("cp -r {} {}", f"{self.folder}/{backup.label}", f"{target}.dump", timeout_s=3600)

    def restore_command(self, target: str) -> str:
        """There is nothing to recover with."""
        _ = target
        return ""

    def take_command(self) -> str:
        """Return the inventory's command."""
        return self.take


def _dump(fields: list[str]) -> BackupSet:
    name, size, written, began, database, error = fields
    finished = datetime.fromtimestamp(int(written), UTC)
    started = datetime.fromtimestamp(int(began), UTC) if began.isdigit() else finished
    # A header later than the file itself was written on a host with another zone.
    started = min(started, finished)
    stored = int(size)
    return BackupSet(name, "dump", started, finished, stored * _GROWS, stored, error=error, database=database)
