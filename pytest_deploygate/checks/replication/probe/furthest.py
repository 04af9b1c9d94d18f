"""The replica to promote after a fault: the one with the greatest position, once no more WAL arrives."""

from __future__ import annotations

import time

from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

_POSITION = (
    "SELECT greatest((pg_last_wal_receive_lsn() - '0/0')::bigint, (pg_last_wal_replay_lsn() - '0/0')::bigint),"
    " (SELECT count(*) FROM pg_stat_wal_receiver)"
)


#: How long replicas take until one answers and positions stand still: one whose receiver was killed starts its recovery again.
SETTLED_S = 10.0


def furthest(cluster: Cluster, patience_s: float) -> Node:
    """Return the replica with the greatest position, once it no longer changes and no receiver runs, or after `patience_s`.

    After its receiver has ended, a replica may report a segment's start as received: the greater of received and replayed
    WAL counts. Raises CannotTell if no replica can be asked.
    """
    candidates = [n for n in cluster.replicas if not n.delayed and not n.upstream]
    began = time.monotonic()
    deadline, silent = began + patience_s, began + min(patience_s, SETTLED_S)
    before: dict[str, int] = {}
    while True:
        answers = cluster.everywhere(lambda node: cluster.rows(node, _POSITION)[0], candidates)
        seen = {name: row for name, row in answers.items() if not isinstance(row, CannotTell)}
        if not seen and time.monotonic() < silent:
            time.sleep(0.1)
            continue
        if not seen:
            raise CannotTell(
                "no replica can be asked for its position: " + "; ".join(map(str, answers.values()))
            )
        now = {name: int(row[0] or 0) for name, row in seen.items()}
        quiet = all(row[1] == 0 for row in seen.values())
        if (now == before and quiet) or time.monotonic() > deadline:
            best = max(now, key=lambda name: now[name])
            return next(node for node in candidates if node.name == best)
        before = now
        time.sleep(0.1)
