"""pgBackRest: `info`, `repo-ls`, `verify` and `restore`, on its own host."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

from pytest_deploygate.checks.backups.facts import BackupSet, Store, Verification
from pytest_deploygate.checks.backups.probe import wal
from pytest_deploygate.checks.backups.probe.tools import free_bytes, volume_encryption, words
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.host.place import Done, Place
from pytest_deploygate.model import CannotTell

#: Status codes in `info` (pgBackRest's `info` command): no valid backup; several repositories differ.
_NO_BACKUP, _DIFFERENT = 2, 4
_NOT_INSTALLED = 127
_BAD = re.compile(r"(missing|checksum invalid|size invalid|other): ([1-9]\d*)")
_LOUD = re.compile(r"\b(?:ERROR|WARN): +(.*)")


class PgBackRest:
    """A stanza of pgBackRest."""

    recovers = True

    def __init__(self, backup: Backup, place: Place) -> None:
        self.place = place
        self.stanza = backup.server or ""
        self.config = str(backup.config) if backup.config else ""
        self.name = f"pgBackRest stanza {self.stanza}"

    def backups(self) -> tuple[BackupSet, ...]:
        """Return the usable backups, oldest first, from `info`."""
        return parse_backups(self._info(), self.stanza)

    def store(self) -> Store:
        """Return cipher, retention and free space of the first repository, from `info` and the configuration file."""
        found = next((s for s in self._info() if s["name"] == self.stanza), {})
        ciphers = {repo.get("cipher", found.get("cipher", "none")) for repo in found.get("repo", [found])}
        settings = self._settings()
        retention = [f"{k} {v}" for k, v in settings.items() if k.startswith("repo1-retention-")]
        path, kind = settings.get("repo1-path", "/var/lib/pgbackrest"), settings.get("repo1-type", "posix")
        encryption = " ".join(sorted(ciphers - {"none"})) if "none" not in ciphers else ""
        lacking = lacking_repositories(found)
        if settings.get("repo1-host") or kind not in ("posix", "cifs"):
            at = settings.get("repo1-host") or f"{kind} storage"
            return Store(
                f"{path} on {at}",
                encryption,
                ", ".join(retention),
                None,
                f"{at} does not report it here",
                lacking,
            )
        free = free_bytes(self.place, path)
        if not encryption:
            encryption = volume_encryption(self.place, path) or ""
        return Store(
            path,
            encryption,
            ", ".join(retention),
            free,
            "" if free else f"df returned nothing for {path}",
            lacking,
        )

    def segments(self) -> frozenset[str]:
        """Return the segments in the archive, by listing the repository: `info` shows only the first and the last."""
        done = self._run(
            "repo-ls",
            "--output=json",
            "--recurse",
            "--filter",
            "[0-9A-F]{24}-",
            f"archive/{self.stanza}",
            bound_s=120,
        )
        if done.code:
            raise CannotTell(f"{self.name}: its archive cannot be listed: {done.said}")
        try:
            listed = {name: int(each.get("size", 0)) for name, each in json.loads(done.output).items()}
        except (ValueError, AttributeError):
            raise CannotTell(f"{self.name}: the list of its archive cannot be parsed: {done.said}") from None
        return wal.whole(listed)

    def verify(self, backup: BackupSet) -> Verification:
        """Run `verify`. Its exit code is always 0 in some versions (2.45), so its output counts."""
        began = time.monotonic()
        done = self._run("verify", "--output=text", "--verbose", "--log-level-console=warn", bound_s=3600)
        how = "pgbackrest verify (every file's checksum)"
        if done.timed_out:
            raise CannotTell(f"{self.name}: verify did not end within an hour")
        problems = tuple(dict.fromkeys(_said(f"{done.output}\n{done.errors}", backup.label)))
        if done.code and not problems:
            problems = (done.said,)
        if not done.output.strip() and not problems:
            raise CannotTell(f"{self.name}: verify printed nothing at all")
        # A backup whose folder is gone is still in `info`, and verify does not mention it.
        silent = [each for each in (backup.label, *backup.needs) if f"backup: {each}," not in done.output]
        gone = "verify does not name it: its folder is not in the repository, or cannot be read"
        problems += tuple(
            gone if each == backup.label else f"{each}, which it needs: {gone}" for each in silent
        )
        return Verification(backup.label, how, problems, time.monotonic() - began)

    def restore(self, backup: BackupSet, target: str, by: Place) -> Done:
        """Restore a set into `target`, without configuring recovery, so that it works the same in all versions."""
        argv = [f"--set={backup.label}", f"--pg1-path={target}", "--type=none", "--log-level-console=warn"]
        # Without a retry: a damaged file stays damaged, and the second attempt would start 15 s later.
        argv += [f"--tablespace-map-all={target}.tablespaces", "--process-max=2", "--job-retry=0"]
        return self._run("restore", *argv, by=by, bound_s=24 * 3600)

    def restore_command(self, target: str) -> str:
        """Fetch from the archive without the production server's spool folder."""
        return f'{self._words("archive-get", f"--pg1-path={target}", "--no-archive-async")} %f "%p"'

    def take_command(self) -> str:
        """Take an incremental backup."""
        return self._words("backup", "--type=incr", "--log-level-console=warn")

    def _info(self) -> list[dict[str, Any]]:
        done = self._run("info", "--output=json", bound_s=60)
        if done.code == _NOT_INSTALLED:
            raise CannotTell(
                f"pgbackrest is not installed on {self.place.name}; name its host with `backup.host`"
            )
        if done.code:
            raise CannotTell(f"{self.name}: info failed on {self.place.name}: {done.said}")
        try:
            found: list[dict[str, Any]] = json.loads(done.output)
        except ValueError:
            raise CannotTell(f"{self.name}: its info cannot be parsed: {done.said}") from None
        return found

    def _settings(self) -> dict[str, str]:
        """Return the repository settings of the configuration file."""
        path = self.config or "/etc/pgbackrest/pgbackrest.conf"
        done = self.place.run("cat {} | grep -E '^repo1-(path|type|host|retention)'", path)
        pairs = (line.partition("=") for line in done.output.splitlines())
        return {key.strip(): value.strip() for key, _, value in pairs}

    def _words(self, command: str, *more: str) -> str:
        config = [f"--config={self.config}"] if self.config else []
        return words("pgbackrest", *config, f"--stanza={self.stanza}", *more, command)

    def _run(self, command: str, *more: str, bound_s: float, by: Place | None = None) -> Done:
        arguments, extra = (list(more[:-1]), more[-1:]) if command == "repo-ls" else (list(more), ())
        line = " ".join([self._words(command, *arguments), *map(words, extra)])
        return (by or self.place).run(line, timeout_s=bound_s)


def parse_backups(info: list[dict[str, Any]], stanza: str) -> tuple[BackupSet, ...]:
    """Read `pgbackrest info --output=json`; it lists completed backups only. Pure. Raises CannotTell."""
    found = next((s for s in info if s.get("name") == stanza), None)
    if found is None:
        return ()
    try:
        status = found["status"]
        # With several repositories, each has a status, and what one of them has can be restored.
        if status["code"] not in (0, _NO_BACKUP, _DIFFERENT):
            raise CannotTell(
                f"pgBackRest stanza {stanza}: {status['message']}; is the repository reachable and mounted, are `server` "
                "(the stanza) and `config` right?"
            )
        clusters = {
            _key(db["repo-key"], db["id"]): str(db["system-id"])
            for db in found.get("db", ())
            if "repo-key" in db
        }
        ordered = sorted(found["backup"], key=lambda b: int(b["timestamp"]["stop"]))
        return tuple(_backup(b, clusters) for b in ordered)
    except (KeyError, TypeError, ValueError) as error:
        raise CannotTell(f"pgBackRest stanza {stanza}: its info cannot be parsed: {error!r}") from None


def lacking_repositories(stanza: dict[str, Any]) -> tuple[str, ...]:
    """Say what is wrong with each of several repositories. Pure."""
    repositories = stanza.get("repo", [])
    if len(repositories) < 2:
        return ()
    return tuple(
        f"repository {repo.get('key')} of {len(repositories)}: {repo['status'].get('message')}; the others do not replace "
        "it: take a full backup to it, or remove it from the configuration"
        for repo in repositories
        if repo.get("status", {}).get("code", 0)
    )


def _key(repository: Any, number: Any) -> tuple[int, int]:
    return int(repository), int(number)


def _backup(raw: dict[str, Any], clusters: dict[tuple[int, int], str]) -> BackupSet:
    stored = raw["info"]["repository"]
    of = raw.get("database", {})
    return BackupSet(
        label=raw["label"],
        kind=raw["type"],
        started=datetime.fromtimestamp(int(raw["timestamp"]["start"]), UTC),
        finished=datetime.fromtimestamp(int(raw["timestamp"]["stop"]), UTC),
        size_bytes=int(raw["info"]["size"]),
        # A bundled repository of a block-incremental backup has no `size` from 2.46 on, only the added size.
        stored_bytes=int(stored.get("size", stored.get("delta", 0))),
        first_wal=raw["archive"]["start"] or "",
        last_wal=raw["archive"]["stop"] or "",
        error="pages with wrong checksums were copied" if raw.get("error") else "",
        needs=tuple(raw.get("reference") or ()),
        system_id=clusters.get(_key(of.get("repo-key", 0), of.get("id", 0)), ""),
    )


def _said(text: str, label: str) -> list[str]:
    """Return what verify found wrong with a backup, the full one that it depends on, or the WAL archive. Pure."""
    found: list[tuple[str, str]] = []
    about, ours = "", False
    for line in map(str.strip, text.splitlines()):
        if line.startswith(("backup:", "archiveId:")):
            about = line.partition(",")[0]
            named = about.removeprefix("backup: ")
            ours = line.startswith("archiveId:") or named in (label, label.partition("_")[0])
            if ours and (bad := re.search(r"status: (?!valid)\S+", line)):
                found.append((about, bad[0].rstrip(",")))
        elif ours and (counts := _BAD.findall(line)):
            found += [(about, f"{what} {count}") for what, count in counts]
        elif said := _LOUD.search(line):
            found.append(("", said[1]))
    if not found and not about and re.search(r"^status: error", text, re.MULTILINE):
        found.append(("", "status: error"))
    # The problems of one backup are joined, and the backup in question is not named again.
    told: dict[str, list[str]] = {}
    for of, what in found:
        told.setdefault("" if of == f"backup: {label}" else of, []).append(what)
    return [f"{of}: {', '.join(what)}" if of else ", ".join(what) for of, what in told.items()]
