"""The restore drill."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from pytest_deploygate.checks.backups.probe import drill
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.drills.planned import Drill
from pytest_deploygate.drills.record import Record
from pytest_deploygate.fields.handed import Sections
from pytest_deploygate.fields.names import plain


def drills(sections: Sections, environment: str, writes_schema: str | None) -> Iterator[Drill]:
    """Yield the drill, if the inventory names a scratch server. It restores what a failover may have left behind."""
    database, backup = sections.get("postgres"), sections.get("backups")
    if database is None or backup is None or backup.scratch is None:
        return

    time_columns = {plain(table.table): table.column for table in sections.get("partitioned") or ()}

    def run() -> Record[Any] | None:
        with contextlib.closing(Cluster(database, writes_schema)) as cluster:
            return drill.restore_drill(cluster, Backups(backup, time_columns, environment, cluster)).record

    yield Drill("restore drill", "database", run, after="replication")
