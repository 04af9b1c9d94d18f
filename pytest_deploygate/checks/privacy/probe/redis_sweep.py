"""Search a Redis server for a synthetic person: in every key's name and value.

Keys are scanned and read in batches; SCAN returns every key that exists throughout the scan. Nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from pytest_deploygate.checks.privacy.probe.writings import unpacked
from pytest_deploygate.checks.privacy.section import SearchedRedis
from pytest_deploygate.clients.redis import redis_client, redis_error
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

MOST_KEYS = 1_000_000
_BATCH = 500
#: The command that reads the whole value of each type of key.
_READ = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"list": ("LRANGE", "0", "-1"),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", "0", "-1"),
    b"stream": ("XRANGE", "-", "+"),
}


def keys_with(cache: SearchedRedis, needles: Sequence[str]) -> list[str]:
    """Return the keys that hold one of the needles (lower case), as text, each with its database.

    Raises CannotTell: more keys or time than the limit, a key type that cannot be searched, no permission.
    """
    wanted = [needle.encode() for needle in needles]
    deadline = time.monotonic() + cache.timeout.total_seconds()
    found: list[str] = []
    for database in _databases(cache):
        try:
            with redis_client(cache, database) as client:
                found += [
                    f"{key.decode(errors='backslashreplace')} (database {database})"
                    for key, text in _contents(client, database, deadline)
                    if any(needle in text for needle in wanted)
                ]
        except redis_error() as error:
            raise CannotTell(
                f"database {database} cannot be read: {redact(str(error))}; an ACL user needs ~* +@read +scan +type"
            ) from error
    return found


def _databases(cache: SearchedRedis) -> list[int]:
    """Return the databases to search: those that the inventory names, else all that hold a key. Raises CannotTell."""
    if "databases" in cache.model_fields_set:
        return cache.databases
    try:
        with redis_client(cache, 0) as client:
            found = client.info("keyspace")
    except redis_error():
        # INFO needs a permission of its own; database 0 is searched as before, and its answer is judged.
        return cache.databases
    return sorted({0, *(int(name.removeprefix("db")) for name in found if str(name).startswith("db"))})


def _contents(client: Any, database: int, deadline: float) -> Iterator[tuple[bytes, bytes]]:
    """Yield each key with its name and value as one text in lower case."""
    there = client.dbsize()
    if there > MOST_KEYS:
        raise CannotTell(f"database {database} has {there} keys, at most {MOST_KEYS} are searched")
    cursor, done = 0, 0
    while True:
        cursor, keys = client.scan(cursor, count=_BATCH)
        for key, value in zip(keys, _values(client, keys), strict=True):
            parts = [unpacked(part) for part in _flat(value)]
            if strange := next((name for _, name in parts if name), ""):
                raise CannotTell(
                    f"database {database}: key {key.decode(errors='backslashreplace')} is compressed with {strange}, which is not "
                    "unpacked here"
                )
            yield key, b" ".join((key, *(part for part, _ in parts))).lower()
        done += len(keys)
        if cursor == 0:
            return
        if time.monotonic() > deadline:
            raise CannotTell(f"database {database}: its time was up after {done} of {there} keys")


def _values(client: Any, keys: Sequence[bytes]) -> list[Any]:
    """Read the values of a batch in two round trips; a key that has disappeared since is empty."""
    kinds = _together(client, [("TYPE", key) for key in keys])
    strange = next((kind for kind in kinds if kind not in _READ and kind != b"none"), None)
    if strange is not None:
        raise CannotTell(f"a key of type {strange.decode()} cannot be searched")
    # A key that has expired since still needs an answer in its position.
    reads = [(_READ[kind][0], key, *_READ[kind][1:]) if kind in _READ else ("EXISTS", key)
             for key, kind in zip(keys, kinds, strict=True)]  # fmt: skip
    return _together(client, reads)


def _together(client: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        answers: list[Any] = pipe.execute()
    return [answer.encode() if isinstance(answer, str) else answer for answer in answers]


def _flat(value: Any) -> Iterator[bytes]:
    """Yield the texts in an answer at any depth; numbers and None are skipped."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, str):
        yield value.encode()
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _flat(pair)
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _flat(part)
