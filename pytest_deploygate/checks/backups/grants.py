"""Privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, MarkerRows, Need, ReadEverything, Statement
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    backup = sections.get("backups")
    if backup is None:
        return
    if backup.tool != "pg-dump":
        yield Statement(
            "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {role};",
            ("db.continuous-backup", "db.restore"),
            "to have the marker's WAL segment archived at once",
        )
    yield MarkerRows(("db.continuous-backup", "db.restore"))
    who = backup.user or "a user who may read the repository"
    yield BesideSql(
        ("infra.backup-system", "db.continuous-backup", "day.final-backup", "phase1.backup", "after.backup"),
        f"a shell on {backup.host} as {who}, where {backup.tool} works",
    )
    if backup.scratch:
        yield ReadEverything(("db.restore",))
        yield BesideSql(
            ("db.restore",),
            f"a shell on {backup.scratch.host} as a user other than root, PostgreSQL's programs of the same version, "
            f"and room for a restore in {backup.scratch.folder}",
        )
