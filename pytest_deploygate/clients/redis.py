"""The client of a Redis server in an inventory. The client library is an extra."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.deadline import Deadline
from pytest_deploygate.fields.redis import Redis
from pytest_deploygate.model import CannotTell, NotCovered, NotReached
from pytest_deploygate.redaction import redact

_TIMEOUT_S = 5.0


def redis_client(cache: Redis, database: int = 0) -> Any:
    """Return a client that has connected, to be used in a `with`.

    Raises NotCovered without the library, CannotTell if it does not connect, NotReached if nothing answered. A server that
    was silent before in this run is not waited for again.
    """
    try:
        import redis  # noqa: PLC0415 (an extra)
    except ImportError:
        raise NotCovered(
            f"Redis {cache.name} cannot be checked, its client is not installed; "
            "run: pip install 'pytest-deploygate[redis]'"
        ) from None
    place = reach.at(cache.host, cache.port)
    if silence := reach.known(place):
        raise NotReached(f"Redis {cache.name} cannot be used: {silence}")

    class Bounded(redis.Redis):
        """A client that waits for each whole answer no longer than for its first byte."""

        def execute_command(self, *args: Any, **options: Any) -> Any:
            try:
                with Deadline(_TIMEOUT_S).cutting(self.connection_pool.disconnect):
                    return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except TimeoutError as error:
                raise redis.TimeoutError(str(error)) from error

    client = Bounded(
        host=cache.host,
        port=cache.port,
        db=database,
        username=cache.user,
        password=cache.password.reveal() if cache.password else None,
        ssl=cache.tls,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        client_name="deploygate",
    )
    try:
        client.ping()
    except redis.AuthenticationError as error:
        raise CannotTell(f"Redis {cache.name} refuses the login: {redact(str(error))}") from None
    except redis.ResponseError:  # e.g. an ACL without PING: it answers
        reach.heard(place)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        said = redact(str(error))
        ours, silent = (
            reach.why_ours_in(said),
            isinstance(error, redis.TimeoutError) or reach.no_answer_in(said),
        )
        if silent:
            reach.silent(place, f"no answer within {_TIMEOUT_S:g} s")
        kind = NotReached if ours or silent else CannotTell
        raise kind(f"Redis {cache.name} did not answer at {place}: {ours or said}") from None
    else:
        reach.heard(place)
    return client


def redis_error() -> type[Exception]:
    """Return the client library's base error."""
    from redis import RedisError  # noqa: PLC0415 (an extra)

    found: type[Exception] = RedisError
    return found
