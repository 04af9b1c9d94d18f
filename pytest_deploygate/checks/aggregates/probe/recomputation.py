"""The query that compares an aggregate's stored buckets with a recomputation, and a sample of buckets to compare."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from psycopg import sql

from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.clients.postgres.cluster import Connection
from pytest_deploygate.model import CannotTell

_BLOCKS = 25
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_FLOATS = {700, 701}  # float4, float8
_NUMERIC = 1700


def relation_name(relation: str) -> sql.Identifier:
    """Quote schema.name."""
    return sql.Identifier(*relation.split(".", 1))


#: start, end (not included), and how many buckets there are between them.
Block = tuple[datetime, datetime, int]

_STORED = """
WITH b AS (SELECT DISTINCT {bucket} AS at FROM {stored} WHERE {bucket} >= %(start)s AND {bucket} < %(end)s)
SELECT count(*) FROM b
"""
_PLACES = """
WITH b AS (SELECT DISTINCT {bucket} AS at FROM {stored} WHERE {bucket} >= %(start)s AND {bucket} < %(end)s),
n AS (SELECT at, row_number() OVER (ORDER BY at) - 1 AS place FROM b)
SELECT place::int8, at FROM n WHERE place = ANY(%(places)s)
"""


def sample(
    connection: Connection, aggregate: Aggregate, start: datetime, end: datetime, seed: str
) -> tuple[int, list[Block]]:
    """Return how many buckets are stored, and blocks of them: all, or the newest and randomly chosen others.

    Blocks begin and end at stored buckets, so that buckets of any width are whole, years without rows count for
    nothing, and what is missing between two stored ones is in a block.
    """
    names = {"bucket": sql.Identifier(aggregate.bucket), "stored": relation_name(aggregate.relation)}
    bounds = {"start": start, "end": end}
    row = connection.execute(sql.SQL(_STORED).format(**names), bounds).fetchone()
    total = int(row[0]) if row else 0
    if total <= aggregate.max_buckets:
        return max(total, 1), [(start, end, max(total, 1))]
    length = max(1, aggregate.max_buckets // _BLOCKS)
    newest = total - length
    places = range(0, newest - length + 1, length)
    wanted = min(len(places), max(0, aggregate.max_buckets // length - 1))
    chosen = [*sorted(random.Random(seed).sample(places, wanted)), newest]  # noqa: S311 (a sample, no secret)
    edges = sorted({edge for place in chosen for edge in (place, place + length)})
    found = connection.execute(sql.SQL(_PLACES).format(**names), {**bounds, "places": edges}).fetchall()
    at = {int(place): when for place, when in found} | {total: end}
    return total, [(at[place], at[place + length], length) for place in chosen]


def comparison_query(connection: Connection, aggregate: Aggregate) -> sql.Composed:
    """Compose the comparison: a full join by bucket and key, counted, with the first differences.

    Takes start, end, tolerance and most. Raises CannotTell when `recompute` gives other columns than it must.
    """
    recompute = sql.SQL(aggregate.recompute.strip().rstrip(";"))
    columns = _columns(connection, recompute)
    lacking = [name for name in (aggregate.bucket, *aggregate.key) if name not in columns]
    values = [name for name in columns if name != aggregate.bucket and name not in aggregate.key]
    if lacking or not values:
        what = f"lacks {', '.join(lacking)}" if lacking else "has no column beside bucket and key"
        raise CannotTell(
            f"{aggregate.relation}: the query `recompute` {what}; it must give the aggregate's columns"
        )
    listed = _identifiers(columns)
    of_table = sql.SQL("SELECT {} FROM {}").format(listed, relation_name(aggregate.relation))
    stored = _columns(connection, of_table)
    within = "tolerance" in aggregate.model_fields_set
    return sql.SQL(_COMPARISON).format(
        stored=relation_name(aggregate.relation),
        columns=listed,
        bucket=sql.Identifier(aggregate.bucket),
        recompute=recompute,
        key=_key(aggregate.key),
        same_key=_same_key(aggregate.key),
        keys=_identifiers((aggregate.bucket, *aggregate.key)),
        differs=sql.SQL(" OR ").join(
            _differs(name, {columns[name], stored[name]}, numeric=within) for name in values
        ),
    )


def _columns(connection: Connection, query: sql.Composable) -> Mapping[str, int]:
    """Return a query's columns with the oids of their types."""
    with connection.cursor() as cursor:
        bounds = {"start": _ANY_TIME, "end": _ANY_TIME}
        cursor.execute(sql.SQL("SELECT * FROM ({}) q LIMIT 0").format(query), bounds)
        return {column.name: column.type_code for column in cursor.description or ()}


def _identifiers(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join([sql.Identifier(name) for name in names])


def _same_key(names: list[str]) -> sql.Composable:
    """Compare keys as text, so that NULL equals NULL and the join can still be hashed."""
    if not names:
        return sql.SQL("true")
    equal = "coalesce(s.{c}::text, chr(1)) = coalesce(f.{c}::text, chr(1))"
    return sql.SQL(" AND ").join([sql.SQL(equal).format(c=sql.Identifier(name)) for name in names])


def _key(names: list[str]) -> sql.Composable:
    if not names:
        return sql.SQL("''")
    parts = [
        sql.SQL("{label} || coalesce(s.{c}::text, f.{c}::text, 'NULL')").format(
            label=f"{name}=", c=sql.Identifier(name)
        )
        for name in names
    ]
    return sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join(parts))


def _differs(name: str, types: set[int], *, numeric: bool) -> sql.Composed:
    """Compare a column: floats within the tolerance, numeric ones too where one is given, all else exactly.

    Counts and sums of integers are exact: of ten thousand million readings one may not go missing.
    """
    column = sql.Identifier(name)
    kind = "float8" if types & _FLOATS else "numeric" if numeric and _NUMERIC in types else ""
    if not kind:
        return sql.SQL("s.{c} IS DISTINCT FROM f.{c}").format(c=column)
    # NaN and infinity are within any tolerance of everything, arithmetically: they equal themselves alone.
    return sql.SQL(
        "(s.{c} IS DISTINCT FROM f.{c} AND (s.{c} IS NULL OR f.{c} IS NULL"
        " OR s.{c}::text IN ('NaN', 'Infinity', '-Infinity') OR f.{c}::text IN ('NaN', 'Infinity', '-Infinity')"
        " OR abs(s.{c} - f.{c})::{k} > %(tolerance)s::{k} * greatest(abs(s.{c}), abs(f.{c}))::{k}))"
    ).format(c=column, k=sql.SQL(kind))


# Rows as JSON only where they differ: a million equal ones need no memory. Doubled rows are told by their number.
_COMPARISON = """
WITH s AS (
  SELECT {columns}, row_number() OVER (PARTITION BY {keys}) AS "deploygate nth"
  FROM {stored} WHERE {bucket} >= %(start)s AND {bucket} < %(end)s
), f AS (
  SELECT q.*, row_number() OVER (PARTITION BY {keys}) AS "deploygate nth" FROM ({recompute}) q
), j AS MATERIALIZED (
  SELECT state, CASE WHEN state <> 'same' THEN bucket END AS bucket, CASE WHEN state <> 'same' THEN key END AS key,
    CASE WHEN state <> 'same' THEN to_jsonb(stored) - 'deploygate nth' END AS stored,
    CASE WHEN state <> 'same' THEN to_jsonb(recomputed) - 'deploygate nth' END AS recomputed
  FROM (
    SELECT coalesce(s.{bucket}, f.{bucket}) AS bucket, {key} AS key, s AS stored, f AS recomputed,
      CASE WHEN s."deploygate nth" IS NULL THEN 'missing' WHEN f."deploygate nth" IS NULL THEN 'extra'
        WHEN {differs} THEN 'different' ELSE 'same' END AS state
    FROM s FULL JOIN f ON s.{bucket} = f.{bucket} AND s."deploygate nth" = f."deploygate nth" AND {same_key}
  ) compared
)
SELECT count(*), count(*) FILTER (WHERE state = 'missing'), count(*) FILTER (WHERE state = 'extra'),
  count(*) FILTER (WHERE state = 'different'),
  (SELECT jsonb_agg(e) FROM (SELECT * FROM j WHERE state <> 'same' ORDER BY bucket, key LIMIT %(most)s) e)
FROM j
"""
