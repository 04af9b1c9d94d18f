"""What is there of a run's rows on one node."""

from __future__ import annotations

from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell


def present(cluster: Cluster, node: Node, mine: markers.Rows) -> set[int]:
    """Return the run's ids that a node has. Raises CannotTell."""
    return {int(row[0]) for row in cluster.rows(node, mine.ids(), (mine.run,))}


def last_count(cluster: Cluster, node: Node, mine: markers.Rows) -> dict[int, int]:
    """Return the run's counter on a node, by its key; 0 if its row is gone. Nothing if it cannot be asked."""
    try:
        rows = cluster.rows(node, mine.ids(), (mine.counter,))
    except CannotTell:
        return {}
    return {0: max((int(row[0]) for row in rows), default=0)}
