"""Compose the query that compares stored buckets with a recomputation, and choose a sample of buckets."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from psycopg import sql

from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.clients.postgres.cluster import Connection
from pytest_deploygate.fields.names import instead, parts, written
from pytest_deploygate.model import CannotTell

_BLOCKS = 25
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_FLOATS = {700, 701}  # float4, float8
_NUMERIC = 1700
#: The stored and the recomputed rows, by names that no column of an aggregate has.
_SIDES = {"s": sql.Identifier("deploygate stored"), "f": sql.Identifier("deploygate recomputed")}


def quoted(*names: str) -> sql.Identifier:
    """Quote a name for a statement with parameters, in which a per cent sign is written twice."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))


#: start, end (exclusive), and the number of buckets between them.
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
    """Return the number of stored buckets, and blocks of them: all, or the newest and randomly chosen others.

    Blocks begin and end at stored buckets. So buckets of any width are whole, years without rows take no share of
    the sample, and a bucket missing between two stored ones is in a block.
    """
    names = {"bucket": quoted(aggregate.bucket), "stored": quoted(*parts(aggregate.relation))}
    bounds = {"start": start, "end": end}
    row = connection.execute(sql.SQL(_STORED).format(**names), bounds).fetchone()
    total = int(row[0]) if row else 0
    if total <= aggregate.max_buckets:
        return max(total, 1), [(start, end, max(total, 1))]
    length = max(1, aggregate.max_buckets // _BLOCKS)
    newest = total - length
    places = range(0, newest - length + 1, length)
    wanted = min(len(places), max(0, aggregate.max_buckets // length - 1))
    chosen = [*sorted(random.Random(seed).sample(places, wanted)), newest]  # noqa: S311 (a sample, not a secret)
    edges = sorted({edge for place in chosen for edge in (place, place + length)})
    found = connection.execute(sql.SQL(_PLACES).format(**names), {**bounds, "places": edges}).fetchall()
    at = {int(place): when for place, when in found} | {total: end}
    return total, [(at[place], at[place + length], length) for place in chosen]


def comparison_query(connection: Connection, aggregate: Aggregate) -> sql.Composed:
    """Compose the comparison: a full join by bucket and key, counted, with the first differences.

    Its parameters are start, end, tolerance and most. Raises CannotTell if `recompute` returns the wrong columns.
    """
    recompute = sql.SQL(aggregate.recompute.strip().rstrip(";"))
    columns = _columns(connection, recompute)
    lacking = [name for name in (aggregate.bucket, *aggregate.key) if name not in columns]
    values = [name for name in columns if name != aggregate.bucket and name not in aggregate.key]
    if lacking or not values:
        case = next((name for name in columns for want in lacking if name.lower() == want.lower()), "")
        hint = instead(written(case)) if case else ""
        what = f"lacks {', '.join(lacking)}{hint}" if lacking else "has no column besides bucket and key"
        raise CannotTell(
            f"{aggregate.relation}: the query `recompute` {what}; it must return the aggregate's columns"
        )
    listed = _identifiers(columns)
    of_table = sql.SQL("SELECT {} FROM {}").format(listed, quoted(*parts(aggregate.relation)))
    stored = _columns(connection, of_table)
    within = "tolerance" in aggregate.model_fields_set
    return sql.SQL(_COMPARISON).format(
        stored=quoted(*parts(aggregate.relation)),
        columns=listed,
        bucket=quoted(aggregate.bucket),
        recompute=recompute,
        **_SIDES,
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
    return sql.SQL(", ").join([quoted(name) for name in names])


def _same_key(names: list[str]) -> sql.Composable:
    """Compare keys as text, so that NULL equals NULL and the join can still be hashed."""
    if not names:
        return sql.SQL("true")
    equal = "coalesce({s}.{c}::text, chr(1)) = coalesce({f}.{c}::text, chr(1))"
    return sql.SQL(" AND ").join([sql.SQL(equal).format(c=quoted(name), **_SIDES) for name in names])


def _key(names: list[str]) -> sql.Composable:
    if not names:
        return sql.SQL("''")
    parts = [
        sql.SQL("{label} || coalesce({s}.{c}::text, {f}.{c}::text, 'NULL')").format(
            label=f"{name}=".replace("%", "%%"), c=quoted(name), **_SIDES
        )
        for name in names
    ]
    return sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join(parts))


def _differs(name: str, types: set[int], *, numeric: bool) -> sql.Composed:
    """Compare a column: floats within the tolerance, numerics too if one is set, everything else exactly.

    Counts and sums of integers are exact: not one of ten billion readings may go missing.
    """
    column = quoted(name)
    kind = "float8" if types & _FLOATS else "numeric" if numeric and _NUMERIC in types else ""
    if not kind:
        return sql.SQL("{s}.{c} IS DISTINCT FROM {f}.{c}").format(c=column, **_SIDES)
    # Arithmetically, NaN and infinity are within any tolerance of everything, so they must only equal themselves.
    return sql.SQL(
        "({s}.{c} IS DISTINCT FROM {f}.{c} AND ({s}.{c} IS NULL OR {f}.{c} IS NULL"
        " OR {s}.{c}::text IN ('NaN', 'Infinity', '-Infinity') OR {f}.{c}::text IN ('NaN', 'Infinity', '-Infinity')"
        " OR abs({s}.{c} - {f}.{c})::{k} > %(tolerance)s::{k} * greatest(abs({s}.{c}), abs({f}.{c}))::{k}))"
    ).format(c=column, k=sql.SQL(kind), **_SIDES)


# Only rows that differ become JSON: a million equal ones need no memory. Duplicate rows are numbered to tell them apart.
_COMPARISON = """
WITH {s} AS (
  SELECT {columns}, row_number() OVER (PARTITION BY {keys}) AS "deploygate nth"
  FROM {stored} WHERE {bucket} >= %(start)s AND {bucket} < %(end)s
), {f} AS (
  SELECT q.*, row_number() OVER (PARTITION BY {keys}) AS "deploygate nth" FROM ({recompute}) q
), j AS MATERIALIZED (
  SELECT state, CASE WHEN state <> 'same' THEN bucket END AS bucket, CASE WHEN state <> 'same' THEN key END AS key,
    CASE WHEN state <> 'same' THEN to_jsonb(stored) - 'deploygate nth' END AS stored,
    CASE WHEN state <> 'same' THEN to_jsonb(recomputed) - 'deploygate nth' END AS recomputed
  FROM (
    SELECT coalesce({s}.{bucket}, {f}.{bucket}) AS bucket, {key} AS key, {s} AS stored, {f} AS recomputed,
      CASE WHEN {s}."deploygate nth" IS NULL THEN 'missing' WHEN {f}."deploygate nth" IS NULL THEN 'extra'
        WHEN {differs} THEN 'different' ELSE 'same' END AS state
    FROM {s} FULL JOIN {f} ON {s}.{bucket} = {f}.{bucket} AND {s}."deploygate nth" = {f}."deploygate nth" AND {same_key}
  ) compared
)
SELECT count(*), count(*) FILTER (WHERE state = 'missing'), count(*) FILTER (WHERE state = 'extra'),
  count(*) FILTER (WHERE state = 'different'),
  (SELECT jsonb_agg(e) FROM (SELECT * FROM j WHERE state <> 'same' ORDER BY bucket, key LIMIT %(most)s) e)
FROM j
"""
