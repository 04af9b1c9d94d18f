"""Large objects of two PostgreSQL databases, compared by checksums that the servers compute of pieces of each.

Objects are compared by their number, because rows refer to them by it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.comparison.adapter import Server
from pytest_deploygate.comparison.objects import Objects
from pytest_deploygate.comparison.sides import PostgresServer
from pytest_deploygate.model import CannotTell

#: A server holds one piece at a time; the client holds the checksums of so many objects of each side.
_PIECE_BYTES = 4 * 1024**2
_OBJECTS_AT_ONCE = 500
_MOST_NAMED = 5
#: 262144 is INV_READ. What is opened is closed with the transaction. Length and pieces are read in one statement, so in one transaction. An object without bytes has one
#: empty piece.
_CHECKSUMS = """
SELECT o.oid::bigint, o.length, md5(string_agg(md5(lo_get(o.oid, n * {piece}, {piece})), '' ORDER BY n))
FROM (
  SELECT oid, lo_lseek64(fd, 0, 2) AS length
  FROM (SELECT oid, lo_open(oid, 262144) AS fd FROM pg_largeobject_metadata WHERE oid > {after} ORDER BY oid LIMIT {limit} OFFSET 0) AS opened
  OFFSET 0
) AS o CROSS JOIN LATERAL generate_series(0, greatest(o.length - 1, 0) / {piece}) AS n
GROUP BY 1, 2 ORDER BY 1
"""

#: Number of the object, its length in bytes, checksum of its pieces.
Object = tuple[int, int, str]


def compare(source: Server, target: Server) -> Objects | None:
    """Compare all large objects of two databases; None where a server has none. What could not be read is `problem`."""
    if not isinstance(source, PostgresServer) or not isinstance(target, PostgresServer):
        return None
    compared = differences = 0
    named: list[str] = []
    try:
        for number, here, there in _together(_all(source), _all(target)):
            compared += 1
            if here == there:
                continue
            differences += 1
            if len(named) < _MOST_NAMED:
                named.append(f"{number} {_how(here, there)}")
    except CannotTell as unknown:
        return Objects(compared, differences, tuple(named), str(unknown))
    return Objects(compared, differences, tuple(named))


def _all(server: PostgresServer) -> Iterator[Object]:
    """Yield the large objects of a database in the order of their numbers. Raises CannotTell."""
    after = 0
    with server.connect() as connection:
        while True:
            asked = _CHECKSUMS.format(piece=_PIECE_BYTES, after=after, limit=_OBJECTS_AT_ONCE)
            found = server.fetched(connection, asked)
            for number, length, checksum in found:
                yield int(number), int(length), checksum
            if len(found) < _OBJECTS_AT_ONCE:
                return
            after = int(found[-1][0])


def _together(
    source: Iterator[Object], target: Iterator[Object]
) -> Iterator[tuple[int, Object | None, Object | None]]:
    """Yield each number once, with the object of each side that has it."""
    here, there = next(source, None), next(target, None)
    while here is not None or there is not None:
        number = min(one[0] for one in (here, there) if one is not None)
        mine = here if here is not None and here[0] == number else None
        theirs = there if there is not None and there[0] == number else None
        yield number, mine, theirs
        here = next(source, None) if mine is not None else here
        there = next(target, None) if theirs is not None else there


def _how(here: Object | None, there: Object | None) -> str:
    if here is None or there is None:
        return "is only on the target" if here is None else "is not on the target"
    if here[1] != there[1]:
        return f"has {there[1]} bytes instead of {here[1]}"
    return f"has other contents ({here[1]} bytes)"
