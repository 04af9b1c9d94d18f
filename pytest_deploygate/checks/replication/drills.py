"""The failover drill of the database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pytest_deploygate.checks.replication.probe import failover
from pytest_deploygate.checks.replication.probe.failover import Record
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.drills.planned import Drill
from pytest_deploygate.fields.handed import Sections


def drills(sections: Sections, environment: str, writes_schema: str | None) -> Iterator[Drill]:
    """Yield the drill, if the inventory has a `failover` section."""
    database, bounds = sections.get("postgres"), sections.get("replication")
    if database is None or bounds is None or bounds.failover is None:
        return

    def run() -> Record:
        with contextlib.closing(Cluster(database, writes_schema)) as cluster:
            return failover.failover_drill(cluster, bounds.failover, bounds.load, environment)

    yield Drill("failover drill", "database", run)
