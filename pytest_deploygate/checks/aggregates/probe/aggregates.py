"""Read how fresh stored aggregates are, and where they differ from a recomputation of the raw rows.

Everything is read in one REPEATABLE READ snapshot, and only buckets that were complete at the last refresh are
compared, so that rows which arrive meanwhile make no difference.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from pytest_deploygate.checks.aggregates.facts import AggregateFacts, Comparison, Difference
from pytest_deploygate.checks.aggregates.probe.recomputation import (
    comparison_query,
    quoted,
    sample,
)
from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.checks.jobs.facts import ScheduleFacts
from pytest_deploygate.checks.jobs.probe.schedules import read_schedule
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.clients.postgres.names import another_case, identifier
from pytest_deploygate.clients.postgres.one_moment import Ask
from pytest_deploygate.fields.names import parts
from pytest_deploygate.model import CannotTell

MOST_EXAMPLES = 5
#: Rows with a time this shortly before a refresh may have been committed after it had read.
_SETTLE = timedelta(minutes=5)
_EPOCH = datetime(2000, 1, 3, tzinfo=UTC)  # a Monday, as the origin of weeks in date_bin


def read(cluster: Cluster, aggregate: Aggregate) -> AggregateFacts:
    """Read and recompute an aggregate on the primary. Raises CannotTell."""
    schedule = read_schedule(cluster, aggregate.schedule) if aggregate.schedule else None
    connection = cluster.connect(cluster.primary)
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return _read(cluster, connection, aggregate, schedule)
    except psycopg.Error as error:
        near = ""
        if isinstance(error, psycopg.errors.UndefinedColumn):
            connection.rollback()
            ask = _asking(connection)
            near = another_case(ask, aggregate.relation, aggregate.bucket)
            near = near or another_case(ask, aggregate.source, aggregate.time_column)
        raise CannotTell(f"{aggregate.relation}: {explain(cluster.primary, error)}{near}") from error
    finally:
        connection.close()


def _read(
    cluster: Cluster, connection: Connection, aggregate: Aggregate, schedule: ScheduleFacts | None
) -> AggregateFacts:
    now, stored, source = _row(
        connection, "SELECT now(), to_regclass(%s), to_regclass(%s)", (aggregate.relation, aggregate.source)
    )
    if stored is None or source is None:
        absent = aggregate.relation if stored is None else aggregate.source
        near = another_case(_asking(connection), absent)
        return AggregateFacts(aggregate.relation, now, absent, schedule, near=near)
    oldest_raw, newest_raw = extent(connection, aggregate.source, aggregate.time_column)
    oldest_bucket, newest_bucket = extent(connection, aggregate.relation, aggregate.bucket)
    refreshed = _refreshed(connection, aggregate)
    extra, older, newest_older = _beyond(connection, aggregate)
    facts = AggregateFacts(
        aggregate.relation,
        now,
        None,
        schedule,
        refreshed,
        newest_raw,
        newest_bucket,
        without_source=extra,
        older=older,
        newest_older=newest_older,
    )
    if oldest_raw is None or oldest_bucket is None:
        return facts
    # Without a recorded refresh the newest stored bucket may have been stored before it was complete.
    known = refreshed - min(_SETTLE, aggregate.width) if refreshed else newest_bucket or now
    span = comparable(connection, aggregate, oldest_raw, oldest_bucket, min(known, now))
    if span is None:
        return facts
    query = comparison_query(connection, aggregate)
    facts = replace(facts, still_open=_still_open(connection, aggregate, span[1]))
    try:
        return replace(facts, comparison=compare(connection, aggregate, query, *span))
    except psycopg.Error as error:
        # Freshness has been read and is worth reporting although the comparison failed.
        return replace(facts, problem=explain(cluster.primary, error))


def _still_open(connection: Connection, aggregate: Aggregate, end: datetime) -> int:
    """Return how many stored rows, up to a limit, are of buckets too new to compare."""
    query = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {stored} WHERE {bucket} >= {end} AND {bucket} <= now() LIMIT 100000) n"
    ).format(
        bucket=sql.Identifier(aggregate.bucket), stored=identifier(aggregate.relation), end=sql.Literal(end)
    )
    return int(_row(connection, query)[0])


def _asking(connection: Connection) -> Ask:
    def ask(query: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
        return connection.execute(query.encode(), parameters).fetchall()

    return ask


def _row(connection: Connection, query: str | sql.Composed, parameters: Any = None) -> tuple[Any, ...]:
    found = connection.execute(query.encode() if isinstance(query, str) else query, parameters).fetchone()
    return found or ()


def extent(connection: Connection, relation: str, column: str) -> tuple[datetime | None, datetime | None]:
    """Return the oldest time of a relation and the newest that is not in the future (the newest, if all are)."""
    query = sql.SQL(
        "SELECT (SELECT min({c}) FROM {t}), coalesce((SELECT max({c}) FROM {t} WHERE {c} <= now()), (SELECT max({c}) FROM {t}))"
    )
    row = _row(connection, query.format(c=sql.Identifier(column), t=identifier(relation)))
    for value in row:
        if value is not None and not (isinstance(value, datetime) and value.tzinfo):
            raise CannotTell(
                f"{relation}.{column} must be a timestamptz to be compared; its oldest value is {value!r}"
            )
    return row[0], row[1]


def _beyond(connection: Connection, aggregate: Aggregate) -> tuple[int, int, datetime | None]:
    """Return how many stored rows are of buckets that no raw row has: in the future, and before the oldest; and the newest of these."""
    # An index on the bucket answers this; counted up to a limit.
    query = sql.SQL(
        "SELECT (SELECT count(*) FROM (SELECT FROM {stored} WHERE {bucket} > greatest(now(), (SELECT max({time}) FROM {source}))"
        " LIMIT 100000) e), (SELECT count(*) FROM (SELECT FROM {stored} WHERE {bucket} <= o.last LIMIT 100000) e),"
        " (SELECT max({bucket}) FROM {stored} WHERE {bucket} <= o.last)"
        " FROM (SELECT min({time}) - {width}::interval AS last FROM {source}) o"
    ).format(
        bucket=sql.Identifier(aggregate.bucket),
        time=sql.Identifier(aggregate.time_column),
        width=sql.Literal(f"{aggregate.width.total_seconds()} seconds"),
        stored=identifier(aggregate.relation),
        source=identifier(aggregate.source),
    )
    row = _row(connection, query)
    return int(row[0]), int(row[1]), row[2]


def _refreshed(connection: Connection, aggregate: Aggregate) -> datetime | None:
    if not aggregate.refreshed:
        return None
    row = _row(connection, aggregate.refreshed)
    value = row[0] if row else None
    if value is not None and not (isinstance(value, datetime) and value.tzinfo):
        raise CannotTell(
            f"{aggregate.relation}: the query `refreshed` must return a timestamptz; it returned {value!r}"
        )
    return value


def comparable(
    connection: Connection,
    aggregate: Aggregate,
    oldest_raw: datetime,
    oldest_bucket: datetime,
    until: datetime,
) -> tuple[datetime, datetime] | None:
    """Return start and end of the buckets that can be compared; None if none is complete.

    If retention has dropped raw rows, older buckets remain, and the first with raw rows may be partial. Both ends are
    aligned with stored buckets nearby, because days of local time vary in width.
    """
    width = aggregate.width
    start = oldest_bucket + (oldest_raw - oldest_bucket) // width * width
    near = sql.SQL(
        "SELECT min({c}) FILTER (WHERE {c} >= %(raw)s), max({c}) FILTER (WHERE {c} <= %(until)s) FROM {t}"
    )
    first, last = _row(
        connection,
        near.format(c=quoted(aggregate.bucket), t=quoted(*parts(aggregate.relation))),
        {"raw": oldest_raw, "until": until},
    )
    if oldest_bucket < start:
        start = first or start + width
    origin = last or _EPOCH
    end = origin + (until - origin) // width * width
    return (start, end) if start < end else None


def compare(
    connection: Connection, aggregate: Aggregate, query: sql.Composed, start: datetime, end: datetime
) -> Comparison:
    """Compare the buckets from `start` to before `end`, or a sample of them. Raises psycopg.Error."""
    total = (end - start) // aggregate.width
    blocks = [(start, end, total)]
    seed = ""
    if total > aggregate.max_buckets:
        # A new sample for each newest bucket; the same sample if it is compared again.
        seed = f"{aggregate.relation} {end.isoformat()}"
        total, blocks = sample(connection, aggregate, start, end, seed)
        seed = seed if sum(block[2] for block in blocks) < total else ""
    rows = missing = extra = different = 0
    examples: list[Difference] = []
    for first, last, _ in blocks:
        found = _row(
            connection,
            query,
            {"start": first, "end": last, "tolerance": aggregate.tolerance, "most": MOST_EXAMPLES},
        )
        rows, missing, extra, different = (
            a + b for a, b in zip((rows, missing, extra, different), found[:4], strict=True)
        )
        examples += [
            Difference(
                e["state"],
                datetime.fromisoformat(e["bucket"]),
                e["key"],
                e["stored"] or {},
                e["recomputed"] or {},
            )
            for e in found[4] or ()
        ]
    looked = sum(block[2] for block in blocks)
    return Comparison(
        start, end, total, looked, rows, missing, extra, different, tuple(examples[:MOST_EXAMPLES]), seed
    )
