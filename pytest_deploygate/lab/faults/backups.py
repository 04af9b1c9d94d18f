"""Faults of the backup repository, of continuous archiving, of restores and of their record.

A fault of the repository is healed by putting back a copy; a new backup is taken only where WAL was lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pytest_deploygate.lab import backups, jobs, nodes, processes, repository, sql
from pytest_deploygate.lab.faults import Change, Fault, keep_aside, put_back
from pytest_deploygate.lab.state import STANZA, Lab, LabError, write_whole

_ROLE = backups.ROLE
_AWAY = ".away"


def _kept(change: Change) -> Change:
    """Return the change; the backups and the drill's record are copied aside first."""

    def breaks(lab: Lab) -> None:
        repository.keep(lab)
        _keep_record(lab)
        change(lab)

    return breaks


def _put_back(lab: Lab) -> None:
    repository.put_back(lab)
    _put_record_back(lab)


def _keep_record(lab: Lab) -> None:
    keep_aside(lab.restore_record)


def _put_record_back(lab: Lab) -> None:
    put_back(lab.restore_record)


def _archive(command: str) -> Change:
    def breaks(lab: Lab) -> None:
        _keep_record(lab)
        repository.archive_with(lab, command)

    return breaks


def _archive_again(lab: Lab) -> None:
    repository.archive_with(lab, None)
    _put_record_back(lab)


def _archive_anew(lab: Lab) -> None:
    """WAL is lost for good: from now on recovery begins at a new full backup."""
    _archive_again(lab)
    jobs.run_now(lab, "full-backup")


def _lose_segment(lab: Lab) -> None:
    """Remove an archived segment between the newest backup and now."""
    _keep_record(lab)
    segment = repository.switch(lab)
    repository.switch(lab)
    file = repository.archive_file(lab, segment)
    nodes.put(lab, lab.private / "lost-segment", file)
    processes.run(["/bin/mv", file, f"{lab.private}/lost{_AWAY}"], user=lab.user)


def _find_segment(lab: Lab) -> None:
    script = 'test -f "$1" || exit 0; mv "$1" "$(cat "$2")" && rm "$2"'
    words = [f"{lab.private}/lost{_AWAY}", f"{lab.private}/lost-segment"]
    processes.run(["/bin/sh", "-ec", script, "sh", *words], user=lab.user)
    _put_record_back(lab)


def _hide_repository(lab: Lab) -> None:
    here = str(lab.private / backups.repository(lab)[-1])
    processes.run(["/bin/mv", here, here + _AWAY], user=lab.user)


def _show_repository(lab: Lab) -> None:
    here = str(lab.private / backups.repository(lab)[-1])
    script = 'test -d "$2" || exit 0; rm -rf "$1"; mv "$2" "$1"'
    processes.run(["/bin/sh", "-ec", script, "sh", here, here + _AWAY], user=lab.user)
    sql.execute(lab, "SELECT pg_reload_conf()")


def _in_clear(lab: Lab) -> None:
    """Switch to a repository without a cipher, as after copying an old configuration."""
    if not lab.pgbackrest:
        raise LabError("base backups in this lab are never encrypted, and its inventory says so")
    here = lab.private / "repo"
    processes.run(["/bin/mv", str(here), f"{here}{_AWAY}"], user=lab.user)
    processes.run(["/bin/mkdir", str(here)], user=lab.user)
    text = lab.pgbackrest_config.read_text()
    nodes.put(lab, lab.pgbackrest_config.with_suffix(".kept"), text)
    nodes.put(lab, lab.pgbackrest_config, "".join(x for x in text.splitlines(True) if "cipher" not in x))
    backups.pgbackrest(lab, f"--stanza={STANZA}", "stanza-create")
    backups.take(lab)


def _in_cipher(lab: Lab) -> None:
    """Switch back; segments archived meanwhile are in the other repository, so a new backup is taken."""
    kept = lab.pgbackrest_config.with_suffix(".kept")
    if kept.exists():
        processes.run(["/bin/mv", str(kept), str(lab.pgbackrest_config)], user=lab.user)
        _show_repository(lab)
        jobs.run_now(lab, "full-backup")


def _record(change: Callable[[dict[str, Any]], object]) -> Change:
    def breaks(lab: Lab) -> None:
        _keep_record(lab)
        record = json.loads(lab.restore_record.read_text())
        change(record)
        write_whole(lab.restore_record, record)

    return breaks


def _older(record: dict[str, Any]) -> None:
    record["date"] = (datetime.fromisoformat(record["date"]) - timedelta(days=120)).isoformat()


def _forget_record(lab: Lab) -> None:
    _keep_record(lab)
    lab.restore_record.unlink()


_REPOSITORY = "preflight and infrastructure"
_ARCHIVE = "preflight and database"

EMPTY = Fault(
    "backup-repository-empty",
    "the repository has no full backup: its records of them were recreated",
    {"infra.backup-system": "fail"},
    _kept(repository.empty),
    _put_back,
    says="no backup",
    scope=_REPOSITORY,
)
STALE = Fault(
    "backup-repository-stale",
    "the newest backup of the repository is ten days old",
    {"infra.backup-system": "fail"},
    _kept(lambda lab: repository.age(lab, timedelta(days=10))),
    _put_back,
    says="limit 26 h",
    scope=_REPOSITORY,
)
IN_CLEAR = Fault(
    "backup-repository-unencrypted",
    "backups go to a repository without a cipher",
    {"infra.backup-system": "fail"},
    _in_clear,
    _in_cipher,
    says="not encrypted",
    scope=_REPOSITORY,
)
UNREHEARSED = Fault(
    "disaster-recovery-never-rehearsed",
    "there is no record of a rehearsal",
    {"infra.disaster-recovery": "fail"},
    _forget_record,
    _put_record_back,
    says="no rehearsal",
    scope=_REPOSITORY,
)
OLD_REHEARSAL = Fault(
    "disaster-recovery-rehearsal-old",
    "the last rehearsal was 120 days ago",
    {"infra.disaster-recovery": "fail"},
    _record(_older),
    _put_record_back,
    says="is 120 d old",
    scope=_REPOSITORY,
)
SLOW_REHEARSAL = Fault(
    "disaster-recovery-rto-over",
    "the last rehearsal took longer than the recovery time objective",
    {"infra.disaster-recovery": "fail"},
    _record(lambda record: record.update(rto_s=960.0)),
    _put_record_back,
    says="RTO objective 2 min",
    scope=_REPOSITORY,
)
BYTE_FLIPPED = Fault(
    "backup-byte-flipped",
    "one bit of the data in each backup has flipped",
    {"db.restore": "fail", "day.final-backup": "fail", "after.backup": "fail"},
    _kept(repository.flip_bytes),
    _put_back,
    says="could not restore",
    scope="preflight and database or morning or postdeploy",
)
ARCHIVE_FAILS = Fault(
    "archive-command-fails",
    "archive_command ends with an error",
    {"db.continuous-backup": "fail", "db.restore": "fail"},
    _archive("/bin/false"),
    _archive_again,
    says="not archived",
    scope=_ARCHIVE,
)
ARCHIVE_LIES = Fault(
    "archive-command-stores-nothing",
    "archive_command reports success and stores nothing, so a marker is never restored",
    {"db.continuous-backup": "fail", "db.restore": "fail"},
    _archive("/bin/true"),
    _archive_anew,
    says="is not in the archive",
    scope=_ARCHIVE,
)
SEGMENT_LOST = Fault(
    "archive-segment-missing",
    "one WAL segment after the newest backup is missing from the archive",
    {"db.continuous-backup": "fail", "db.restore": "fail"},
    _lose_segment,
    _find_segment,
    says="missing from the archive",
    scope=_ARCHIVE,
)
YESTERDAY = Fault(
    "backup-from-yesterday",
    "the newest full backup is from yesterday",
    {"day.final-backup": "fail"},
    _kept(lambda lab: repository.age(lab, timedelta(hours=25))),
    _put_back,
    says="limit 12 h",
    scope="morning",
)
MANIFEST = Fault(
    "backup-manifest-damaged",
    "the manifests no longer match the backups",
    {"day.final-backup": "fail", "after.backup": "fail"},
    _kept(repository.damage_manifests),
    _put_back,
    says="do not rely on it",
    scope="morning or postdeploy",
)
NONE_LAST_NIGHT = Fault(
    "backup-none-last-night",
    "no backup was taken last night",
    {"after.backup": "fail"},
    _kept(lambda lab: repository.age(lab, timedelta(hours=30))),
    _put_back,
    says="limit 26 h",
    scope="postdeploy",
)
UNREACHABLE = Fault(
    "backup-host-unreachable",
    "the repository is unreachable: its host is down or its mount is missing",
    {"phase1.backup": "fail"},
    _hide_repository,
    _show_repository,
    says="cannot be reached",
    tests=("test_small_backup_completes",),
    scope="phase1",
)
REFUSED = Fault(
    "backup-role-locked",
    "the backup role may not log in, so a backup taken now fails",
    {"phase1.backup": "fail"},
    lambda lab: sql.execute(lab, f"ALTER ROLE {_ROLE} NOLOGIN"),
    lambda lab: sql.execute(lab, f"ALTER ROLE {_ROLE} LOGIN"),
    says="could not be taken",
    tests=("test_small_backup_completes",),
    scope="phase1",
)
