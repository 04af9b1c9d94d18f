"""What to write with, and the way of the writers."""

from __future__ import annotations

import difflib

from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.checks.data_loss.section import DataLoss
from pytest_deploygate.checks.pooling.section import Pooler, Pooling
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.writers import AnyOf, Pool, Way
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Setup:
    """A cluster, the plan, and the way of the writers (a text says why there is none); `backups` None: no restore."""

    cluster: Cluster
    criterion: DataLoss
    way: Way | str
    backups: Backups | None = None


def way_through(pooling: Pooling | None, cluster: Cluster, criterion: DataLoss) -> Way | str:
    """Return the named pooler, else the first, else the nodes with libpq's list of hosts; a text if the named one is unknown."""
    poolers = pooling.poolers if pooling else []
    if criterion.through is None:
        return _pool(poolers[0]) if poolers else AnyOf(cluster.nodes, reads="read-write")
    found = next((each for each in poolers if each.name == criterion.through), None)
    if found is not None:
        return _pool(found)
    names = [each.name for each in poolers]
    near = difflib.get_close_matches(criterion.through, names, 1) or names[:1]
    has = f"; did you mean {near[0]}?" if near else ": `database.pooling` names no pooler"
    return f"`data_loss.through` names the pooler {criterion.through}, which the inventory does not have{has}"


def _pool(pooler: Pooler) -> Pool:
    return Pool(
        pooler.name,
        pooler.host,
        pooler.port,
        pooler.user or "",
        pooler.password,
        pooler.database or "",
    )
