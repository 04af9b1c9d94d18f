"""Privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, Need, Statistics
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    yield Statistics(("db.pooling",))
    if pooling := sections.get("pooling"):
        names = ", ".join(pooler.name for pooler in pooling.poolers)
        user = sections.get("postgres").user
        yield BesideSql(("db.pooling",), f"{user} in `stats_users` of {names} (pgbouncer.ini), then RELOAD")
