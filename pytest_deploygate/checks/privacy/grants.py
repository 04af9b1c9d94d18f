"""Privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_deploygate.checks.privacy.section import Erasure, Retained
from pytest_deploygate.fields.grants import BesideSql, MarkerRows, Need, ReadEverything, ReadTable
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    retained: list[Retained] = sections.get("retained") or []
    yield from _tables(retained, "db.retention")
    if any(entry.schedule and entry.schedule.pg_cron is None for entry in retained):
        yield BesideSql(
            ("db.retention",),
            "a shell that can read the schedule and the record of the job that removes rows",
        )
    if personal := sections.get("data_retention"):
        yield from _tables(personal.tables, "comp.retention")
        yield BesideSql(("comp.retention",), "a shell that can list the folders with logs and backups")
    if audit_trail := sections.get("audit_trail"):
        yield ReadEverything(("comp.audit-trail",))
        yield BesideSql(
            ("comp.audit-trail",), f"the password of {audit_trail.role.user}, which performs the operation"
        )
    if erasure := sections.get("erasure"):
        yield from _erasure(erasure)


def _tables(retained: Iterable[Retained], item: str) -> Iterator[Need]:
    for entry in retained:
        yield ReadTable(entry.table, (item,))
        if entry.partman:
            yield ReadTable(f"{entry.partman}.part_config", (item,))


def _erasure(erasure: Erasure) -> Iterator[Need]:
    items = ("comp.erasure",)
    yield ReadEverything(items)
    yield MarkerRows(items)
    yield BesideSql(items, f"the password of {erasure.role.user}, or the platform's own interface")
    if erasure.logs:
        yield BesideSql(items, "a shell that can read the log files named")
    for cache in erasure.redis:
        yield BesideSql(items, f"in Redis {cache.name} a user with ~* +@read +scan +type +client|setname")
    yield BesideSql(items, "BYPASSRLS for the gate's role where tables have row security (superuser)")
