"""Hit ratios of caches: PostgreSQL's buffers and Redis."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.checks.postgres.facts import CacheFacts
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.redis import Redis
from pytest_deploygate.model import CannotTell, NotCovered
from pytest_deploygate.redaction import redact

_BUFFERS = """
SELECT blks_hit, blks_read, stats_reset::text FROM pg_stat_database WHERE datname = current_database()
"""


def buffers(cluster: Cluster) -> CacheFacts:
    """Read the buffer cache's counts of this database on the primary. Raises CannotTell."""
    rows = cluster.rows(cluster.primary, _BUFFERS)
    if not rows:
        raise CannotTell(f"{cluster.primary.name} has no row in pg_stat_database for this database")
    hits, misses, since = rows[0]
    return CacheFacts(cluster.primary.name, "shared_buffers", hits, misses, None, since or "")


def redis(cache: Redis) -> CacheFacts:
    """Read a Redis server's counts. Raises CannotTell, NotCovered without the client library."""
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


def redis_client(cache: Redis, database: int = 0) -> Any:
    """Return a client of a Redis server, to be used in a `with`. Raises NotCovered without the library."""
    try:
        from redis import Redis as Client  # noqa: PLC0415 (an extra)
    except ImportError:
        raise NotCovered(
            f"Redis {cache.name} cannot be asked, its client is not installed; "
            "run: pip install 'pytest-deploygate[redis]'"
        ) from None
    return Client(
        host=cache.host,
        port=cache.port,
        db=database,
        username=cache.user,
        password=cache.password.reveal() if cache.password else None,
        ssl=cache.tls,
        socket_timeout=5,
        socket_connect_timeout=5,
        client_name="deploygate",
    )


def redis_error() -> type[Exception]:
    """Return the client library's base error."""
    from redis import RedisError  # noqa: PLC0415 (an extra)

    found: type[Exception] = RedisError
    return found
