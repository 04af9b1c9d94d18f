"""The privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import Need, ReadEverything, ReadTable
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections of the inventory need."""
    migrations = sections.get("migrations")
    if migrations and migrations.query:
        yield ReadEverything(("phase2.migrations",))
    if migrations and migrations.table:
        yield ReadTable(migrations.table, ("phase2.migrations",))
    if migrations and migrations.tool == "liquibase":
        yield ReadTable(migrations.lock_table, ("phase2.migrations",))
    lint = sections.get("migration_lint")
    if lint and lint.rehearse:
        # pg_dump locks each table, ACCESS SHARE, which needs the right to read it.
        yield ReadEverything(("guard.migration-lint",))
