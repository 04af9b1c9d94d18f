"""The client of a Redis server in an inventory. The client library is an extra."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.fields.redis import Redis
from pytest_deploygate.model import NotCovered


def redis_client(cache: Redis, database: int = 0) -> Any:
    """Return a client of a Redis server, to be used in a `with`. Raises NotCovered without the library."""
    try:
        from redis import Redis as Client  # noqa: PLC0415 (an extra)
    except ImportError:
        raise NotCovered(
            f"Redis {cache.name} cannot be checked, its client is not installed; "
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
