"""Barman: `list-backups`, `show-backup`, `check-backup`, `verify-backup` and `recover`, on its own host."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from pytest_deploygate.checks.backups.facts import BackupSet, Store, Verification
from pytest_deploygate.checks.backups.probe import wal
from pytest_deploygate.checks.backups.probe.tools import free_bytes, volume_encryption, words
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.host.place import Done, Place
from pytest_deploygate.model import CannotTell

_NOT_INSTALLED = 127
_NO_RETENTION = ("", "None", "none")


class Barman:
    """A server of Barman."""

    recovers = True

    def __init__(self, backup: Backup, place: Place) -> None:
        self.place = place
        self.server = backup.server or ""
        self.config = str(backup.config) if backup.config else ""
        self.name = f"Barman server {self.server}"

    def backups(self) -> tuple[BackupSet, ...]:
        """Return the completed backups, oldest first."""
        listed = self._json("list-backups", self.server)
        found = [
            b["backup_id"]
            for b in _inside(listed, self.server)
            if b.get("status") not in ("FAILED", "STARTED")
        ]
        sets = [
            parse_backup(self._json("show-backup", self.server, each), self.server) for each in found[:50]
        ]
        return tuple(sorted((s for s in sets if s), key=lambda s: s.finished))

    def store(self) -> Store:
        """Return folder, retention and free space from `show-servers`; Barman 3.4 encrypts nothing itself."""
        shown = self._shown()
        folder = str(shown.get("backup_directory", ""))
        retention = str(shown.get("retention_policy") or "")
        free = free_bytes(self.place, folder)
        return Store(
            folder,
            str(shown.get("encryption") or "").replace("None", "") or volume_encryption(self.place, folder),
            "" if retention in _NO_RETENTION else retention,
            free,
            "" if free is not None else f"df returned nothing for {folder}",
        )

    def segments(self) -> frozenset[str]:
        """Return the segments in the archive by listing its folder; `check` passes if any was ever archived.

        Segments that have arrived and wait for `barman cron` are archived first: only then can they be restored.
        """
        self._run("archive-wal", self.server, bound_s=60)
        folder = str(self._shown().get("wals_directory", ""))
        done = self.place.run("find {} -type f -printf '%s %p\\n'", folder, timeout_s=60)
        if done.code:
            raise CannotTell(f"{self.name}: its WAL folder {folder} cannot be listed: {done.said}")
        listed = (line.partition(" ") for line in done.output.splitlines())
        # Barman compresses without changing the name, so sizes differ; an empty file is none.
        return wal.names("\n".join(path for size, _, path in listed if size != "0"))

    def verify(self, backup: BackupSet) -> Verification:
        """Run `check-backup` (its WAL exists) and `verify-backup` (files against the manifest, if there is one)."""
        began = time.monotonic()
        problems = []
        for command in ("check-backup", "verify-backup"):
            done = self._run(command, self.server, backup.label, bound_s=3600)
            if done.code:
                problems.append(f"{command}: {done.said}")
        if any("backup_manifest" in p and "No such file" in p for p in problems):
            raise CannotTell(
                f"{self.name}: {backup.label} has no manifest to verify it with; `barman generate-manifest {self.server} "
                f"{backup.label}` writes one"
            )
        return Verification(
            backup.label, "barman check-backup and verify-backup", tuple(problems), time.monotonic() - began
        )

    def restore(self, backup: BackupSet, target: str, by: Place) -> Done:
        """Recover into `target`, every tablespace below it: without a rule Barman restores them to their production paths."""
        raw = self._json("show-backup", self.server, backup.label)
        spaces = tablespaces(_inside(raw, self.server))
        rules = [part for name in spaces for part in ("--tablespace", f"{name}:{target}.tablespaces/{name}")]
        return self._run(
            "recover", "--get-wal", *rules, self.server, backup.label, target, bound_s=24 * 3600, by=by
        )

    def restore_command(self, target: str) -> str:
        """Fetch WAL with `get-wal`, which does not depend on the folder it is called from."""
        _ = target
        return f'{self._words("get-wal", self.server)} %f >"%p"'

    def take_command(self) -> str:
        """Take a backup; Barman's `reuse_backup` decides how small it is."""
        return self._words("backup", self.server)

    def _shown(self) -> dict[str, Any]:
        found: dict[str, Any] = _inside(self._json("show-servers", self.server), self.server)
        return found

    def _json(self, command: str, *more: str) -> Any:
        done = self._run("-f", "json", command, *more, bound_s=60)
        if done.code == _NOT_INSTALLED:
            raise CannotTell(
                f"barman is not installed on {self.place.name}; name its host with `backup.host`"
            )
        try:
            return json.loads(done.output)
        except ValueError:
            raise CannotTell(f"{self.name}: {command} failed on {self.place.name}: {done.said}") from None

    def _words(self, *more: str) -> str:
        return words("barman", *(["-c", self.config] if self.config else []), *more)

    def _run(self, *more: str, bound_s: float, by: Place | None = None) -> Done:
        return (by or self.place).run(self._words(*more), timeout_s=bound_s)


def _inside(shown: Any, server: str) -> Any:
    """Return the part of Barman's JSON about a server. Raises CannotTell if it reports an error."""
    if isinstance(shown, dict) and server in shown:
        return shown[server]
    said = shown.get("_ERROR") or shown.get("_EXCEPTION") if isinstance(shown, dict) else ""
    raise CannotTell(
        f"Barman returned nothing about the server {server}: {' '.join(map(str, said or []))[:300]}"
    )


def tablespaces(shown: Any) -> tuple[str, ...]:
    """Return the names of a backup's tablespaces; its JSON has a list of mappings, or a mapping. Pure."""
    spaces = shown.get("tablespaces") or []
    return tuple(spaces) if isinstance(spaces, dict) else tuple(s["name"] for s in spaces)


def parse_backup(shown: Any, server: str) -> BackupSet | None:
    """Read `barman -f json show-backup`; None for one that is not complete. Pure. Raises CannotTell."""
    raw = _inside(shown, server)
    base = raw.get("base_backup_information", {})
    if raw.get("status") not in ("DONE", "WAITING_FOR_WALS"):
        return None
    try:
        return BackupSet(
            label=raw["backup_id"],
            kind="full",
            started=_moment(base, "begin_time"),
            finished=_moment(base, "end_time"),
            size_bytes=int(base.get("disk_usage_bytes") or 0),
            stored_bytes=int(base.get("disk_usage_bytes") or 0),
            first_wal=base["begin_wal"],
            last_wal=base["end_wal"],
            error="some of its WAL has not arrived" if raw["status"] == "WAITING_FOR_WALS" else "",
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CannotTell(f"Barman server {server}: a backup cannot be parsed: {error!r}") from None


def _moment(base: dict[str, Any], name: str) -> datetime:
    """Read a time: as seconds if Barman provides them (from 3.5 on), else as text with its zone."""
    stamp = base.get(f"{name}_timestamp")
    if stamp is not None:
        return datetime.fromtimestamp(float(stamp), UTC)
    when = datetime.fromisoformat(str(base[name]))
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
