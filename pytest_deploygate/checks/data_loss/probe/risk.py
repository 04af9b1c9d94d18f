"""How much a crash of the primary would take: sampled while writers write."""

from __future__ import annotations

import bisect
import contextlib
import threading
import time

from pytest_deploygate.checks.data_loss.facts import Risk
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

_EVERY_S = 0.1
_PRIMARY = (
    "SELECT (pg_current_wal_lsn() - '0/0')::bigint, tup_inserted + tup_updated + tup_deleted"
    " FROM pg_stat_database WHERE datname = current_database()"
)
#: What a replica has received is flushed to its disk. Replayed counts where the receiver has ended.
_REPLICA = (
    "SELECT (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0')::bigint"
    " WHERE pg_is_in_recovery()"
)


def watch(cluster: Cluster, done: threading.Event) -> Risk:
    """Sample until `done`. A replica is asked itself: the primary's view of a frozen receiver shows no lag."""
    if not cluster.replicas:
        return Risk(problem="the inventory names no replica, so nothing but backups has the newest writes")
    times: list[float] = []
    written: list[int] = []
    rows: list[int] = []
    behind: list[tuple[int, float]] = []
    problem = ""
    while not done.wait(_EVERY_S):
        try:
            position, count = cluster.rows(cluster.primary, _PRIMARY)[0]
            at = time.monotonic()
            times.append(at)
            written.append(int(position))
            rows.append(int(count))
            reached = _reached(cluster)
        except CannotTell as unknown:
            problem = problem or str(unknown)
            continue
        if reached is not None:
            behind.append((max(0, written[-1] - reached), _age_s(times, written, reached)))
    if len(times) < 2 or not behind:
        return Risk(problem=problem or "no replica answered meanwhile")
    lasted_s = times[-1] - times[0]
    return Risk(
        samples=len(behind),
        behind_bytes=max(each for each, _ in behind),
        behind_s=round(max(each for _, each in behind), 3),
        rows_per_s=round(max(0, rows[-1] - rows[0]) / lasted_s, 1),
        wal_bytes_per_s=round((written[-1] - written[0]) / lasted_s, 1),
    )


def _reached(cluster: Cluster) -> int | None:
    """Return the greatest position that a replica has received; None if none answers."""

    def ask(node: Node) -> int:
        return int(cluster.value(node, _REPLICA) or 0)

    found = []
    for answer in cluster.everywhere(ask, cluster.replicas).values():
        with contextlib.suppress(TypeError):
            if not isinstance(answer, CannotTell) and answer:
                found.append(answer)
    return max(found, default=None)


def _age_s(times: list[float], written: list[int], reached: int) -> float:
    """Return how long ago the primary was last seen at or before a position: at most that much is not there yet."""
    if reached >= written[-1]:
        return 0.0
    before = bisect.bisect_right(written, reached) - 1
    return times[-1] - times[max(0, before)]
