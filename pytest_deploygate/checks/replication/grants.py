"""The privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, MarkerRows, Need, Statement, Statistics
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections of the inventory need."""
    yield Statistics(("db.replication", "phase2.replication"))
    yield MarkerRows(("db.replication", "phase2.replication"))
    failover, managed = sections.get("replication").failover, sections.get("replication").managed_failover
    if (failover and not failover.promote) or (
        managed and managed.manager == "plain" and not managed.promote
    ):
        yield Statement(
            "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO {role};",
            ("phase2.replication",),
            "for the failover drill only",
        )
    if failover or managed:
        yield BesideSql(
            ("phase2.replication",), "the commands that stop and rebuild a node, for the failover drill"
        )
