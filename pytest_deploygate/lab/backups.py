"""Backups of the lab: pgBackRest where it is installed, else base backups and a copied WAL archive."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

from pytest_deploygate.lab import nodes, processes
from pytest_deploygate.lab.state import DATABASE, HOST, PRIMARY, STANZA, Lab

ROLE = "platform_backup"
_KEPT = 2
#: Folders in the private one, made when the lab comes up.
FOLDERS = ("archive", "backups", "repo", "scratch")
_CONFIGURATION = """[global]
repo1-path={private}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={cipher}
repo1-retention-full={kept}
repo1-bundle=y
start-fast=y
compress-type=lz4
compress-level=1
process-max=2
lock-path={private}/pgbackrest-lock
log-level-file=off
log-level-console=warn
archive-timeout=30

[{stanza}]
pg1-path={data}
pg1-port={port}
pg1-socket-path={sockets}
pg1-user={role}
pg1-database={database}
"""


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories can refer to."""
    tool = bool(lab.pgbackrest)
    found = {
        "backup.status": str(lab.job_status("full-backup")),
        "backup.tool": "pgbackrest" if tool else "base-backup",
        "backup.config": str(lab.pgbackrest_config),
        "backup.repository": str(lab.private / repository(lab)[-1]),
        "backup.archive": str(lab.private / "archive"),
        "backup.encrypted": "true" if tool else "false",
        "backup.user": lab.user or "",
        "backup.passfile": str(lab.pgpass),
        "backup.take": "" if tool else _take_command(lab),
        "backup.record": str(lab.restore_record),
        "backup.scratch": str(lab.private / "scratch"),
        "backup.programs": str(lab.servers),
    }
    return found | (
        {"pgbackrest.config": str(lab.pgbackrest_config), "pgbackrest.stanza": STANZA} if tool else {}
    )


def _take_command(lab: Lab) -> str:
    """Return a command that takes a small backup where no tool knows one: a base backup that is discarded."""
    kept = shlex.quote(str(lab.private / "backups" / "trial.part"))
    source = f"-h {HOST} -p {lab.ports[PRIMARY]} -U {ROLE}"
    tool = shlex.quote(lab.tool("pg_basebackup"))
    return f"rm -rf {kept} && {tool} {source} -D {kept} -c fast -X stream && rm -rf {kept}"


def prepare(lab: Lab) -> None:
    """Prepare the repository: pgBackRest's configuration and stanza; base backups need none.

    The server must be running. Raises LabError when pgBackRest cannot serve this server.
    """
    if not lab.pgbackrest:
        return
    text = _CONFIGURATION.format(
        private=lab.private,
        cipher=lab.password(ROLE).reveal(),
        kept=_KEPT,
        stanza=STANZA,
        data=lab.data(PRIMARY),
        port=lab.ports[PRIMARY],
        sockets=lab.sockets,
        role=ROLE,
        database=DATABASE,
    )
    nodes.put(lab, lab.pgbackrest_config, text)
    pgbackrest(lab, f"--stanza={STANZA}", "stanza-create")


def take(lab: Lab) -> None:
    """Take a full backup now. Raises LabError."""
    if lab.pgbackrest:
        pgbackrest(lab, f"--stanza={STANZA}", "--type=full", "backup")
    else:
        _base_backup(lab)


def repository(lab: Lab) -> tuple[str, ...]:
    """Return the names of the folders, in the private one, that backups and archived WAL are in."""
    return ("repo",) if lab.pgbackrest else ("archive", "backups")


def pgbackrest(lab: Lab, *words: str, stdin: str = "") -> str:
    """Run pgBackRest and return what it printed. Raises LabError."""
    argv = [str(lab.pgbackrest), f"--config={lab.pgbackrest_config}", *words]
    return processes.run(argv, user=lab.user, env=_passwords(lab), timeout_s=110, stdin=stdin)


def _base_backup(lab: Lab) -> None:
    kept = lab.private / "backups"
    fresh = kept / datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    part = fresh.with_name(f"{fresh.name}.part")
    source = ["-h", HOST, "-p", str(lab.ports[PRIMARY]), "-U", ROLE]
    processes.run(
        [lab.tool("pg_basebackup"), *source, "-D", str(part), "--checkpoint=fast", "--wal-method=stream"],
        user=lab.user,
        env=_passwords(lab),
        timeout_s=110,
    )
    processes.run(["/bin/mv", str(part), str(fresh)], user=lab.user)
    whole = sorted(p for p in kept.iterdir() if p.suffix != ".part")
    for old in whole[:-_KEPT]:
        processes.run(["/bin/rm", "-rf", str(old)], user=lab.user)


def _passwords(lab: Lab) -> dict[str, str]:
    return {"PGPASSFILE": str(lab.pgpass), "PGSSLMODE": "disable"}
