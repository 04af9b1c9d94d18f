"""The privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.postgres.facts import SHOW_RULES
from pytest_deploygate.fields.grants import BesideSql, Need, ReadEverything, Statement, Statistics
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections of the inventory need."""
    yield Statistics(("db.cluster", "db.monitoring-queries", "stab.slow-queries"))
    if sections.get("monitoring_queries") or sections.get("statement_bounds"):
        yield Statement(
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;",
            ("db.monitoring-queries", "stab.slow-queries"),
            "also needs shared_preload_libraries and a restart",
        )
    if sections.get("validation_query"):
        yield ReadEverything(("phase2.validation",))
    if sections.get("after_load"):
        yield ReadEverything(("guard.after-load",))
    yield BesideSql(
        ("db.cluster",), "a superuser's pg_checksums and a stopped server, only to add missing data checksums"
    )
    for statement in SHOW_RULES if sections.get("expected_servers") else ():
        yield Statement(statement, ("db.cluster",), "to see whom pg_hba.conf lets in without a password")
