"""The backup tool that an inventory names."""

from __future__ import annotations

from pytest_deploygate.checks.backups.probe import barman, base_backup, pg_dump, pgbackrest
from pytest_deploygate.checks.backups.probe.tools import Tool
from pytest_deploygate.checks.backups.section import Backup
from pytest_deploygate.clients.host.place import Place


def tool(backup: Backup) -> Tool:
    """Return the tool that an inventory names."""
    env = {"PGPASSFILE": str(backup.passfile)} if backup.passfile else {}
    place = Place(backup.host, backup.user, env)
    match backup.tool:
        case "pgbackrest":
            return pgbackrest.PgBackRest(backup, place)
        case "barman":
            return barman.Barman(backup, place)
        case "base-backup":
            return base_backup.BaseBackup(backup, place)
        case "pg-dump":
            return pg_dump.PgDump(backup, place)
