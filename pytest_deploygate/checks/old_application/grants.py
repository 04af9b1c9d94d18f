"""What the checks of this subject need beside privileges in the platform's database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.old_application.section import OldApplication
from pytest_deploygate.fields.grants import BesideSql, Need, ReadEverything, Statistics
from pytest_deploygate.fields.handed import Sections

_ITEMS = ("guard.n-minus-1",)


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    application: OldApplication | None = sections.get("old_application")
    if application is None:
        return
    yield ReadEverything(_ITEMS)  # USAGE on all schemas, to resolve the names of tables
    if application.recorded_in is None:
        yield Statistics(_ITEMS)
    else:
        yield BesideSql(
            _ITEMS,
            f"in the database {application.recorded_in.name}: pg_monitor, USAGE on its schemas, and the extension "
            "pg_stat_statements",
        )
