"""Hit ratios of caches: PostgreSQL's buffers and Redis."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.checks.postgres.facts import CacheFacts
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.redis import redis_client, redis_error
from pytest_deploygate.fields.redis import Redis
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_BUFFERS = """
SELECT blks_hit, blks_read, stats_reset::text FROM pg_stat_database WHERE datname = current_database()
"""


def buffers(cluster: Cluster) -> CacheFacts:
    """Read this database's buffer cache counters on the primary. Raises CannotTell."""
    rows = cluster.rows(cluster.primary, _BUFFERS)
    if not rows:
        raise CannotTell(f"{cluster.primary.name} has no row in pg_stat_database for this database")
    hits, misses, since = rows[0]
    return CacheFacts(cluster.primary.name, "shared_buffers", hits, misses, None, since or "")


def redis(cache: Redis) -> CacheFacts:
    """Read a Redis server's counters. Raises CannotTell, or NotCovered without the client library."""
    with redis_client(cache) as client:
        try:
            info: dict[str, Any] = client.info("stats")
        except redis_error() as error:
            raise CannotTell(f"Redis {cache.name} did not answer INFO: {redact(str(error))}") from error
    return CacheFacts(
        cache.name,
        "Redis",
        int(info["keyspace_hits"]),
        int(info["keyspace_misses"]),
        int(info["evicted_keys"]),
    )
