"""Continuous aggregates: how far they are materialised, and where stored buckets differ from their raw rows.

A sample of buckets is recomputed with the aggregate's own definition (the view's query over the raw hypertable), in one
REPEATABLE READ snapshot. Only buckets below the watermark are compared: later ones are computed when they are read.
Ranges in the invalidation log that the policy's next run will refresh are left out; those that it never reaches are
compared, because nothing else will fix them. Needs SELECT on the aggregate and on its raw hypertable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from pytest_deploygate.checks.aggregates.facts import Comparison
from pytest_deploygate.checks.aggregates.probe.aggregates import comparable, compare, extent
from pytest_deploygate.checks.aggregates.probe.recomputation import comparison_query
from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.checks.timescale.facts import REFRESH, RETENTION, AggregateFacts, Job, Span
from pytest_deploygate.checks.timescale.probe import extension as timescale
from pytest_deploygate.checks.timescale.probe.extension import Catalog
from pytest_deploygate.checks.timescale.section import ContinuousAggregate
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.fields.names import plain, written
from pytest_deploygate.model import CannotTell

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


_LOGS = """
SELECT (SELECT watermark FROM _timescaledb_catalog.continuous_aggs_watermark WHERE mat_hypertable_id = %(id)s),
  array(SELECT ARRAY[lowest_modified_value, greatest_modified_value]
    FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log WHERE materialization_id = %(id)s),
  array(SELECT ARRAY[lowest_modified_value, greatest_modified_value]
    FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log WHERE hypertable_id = %(raw)s)
"""


def read(
    cluster: Cluster, expected: ContinuousAggregate, tables: list[str], *, outside: bool = False
) -> AggregateFacts:
    """Read and recompute a continuous aggregate. Raises CannotTell."""
    known = timescale.catalog(cluster, tables)
    found = known.aggregates.get(plain(expected.view))
    if found is None:
        return AggregateFacts(expected.view, known.now)
    connection = cluster.connect(cluster.primary)
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL timezone = 'UTC'")
        return _read(connection, cluster, expected, known, found, outside=outside)
    except psycopg.Error as error:
        raise CannotTell(f"{expected.view}: {explain(cluster.primary, error)}") from error
    finally:
        connection.close()


def _read(
    connection: Connection,
    cluster: Cluster,
    expected: ContinuousAggregate,
    known: Catalog,
    found: timescale.Aggregate,
    *,
    outside: bool,
) -> AggregateFacts:
    now = _one(connection, "SELECT now()")[0]
    job = next((job for job in known.jobs if (job.proc, job.table) == (REFRESH, found.view)), None)
    mark, logged, raw_logged = _one(connection, _LOGS, {"id": found.materialization_id, "raw": found.raw_id})
    watermark = _moment(mark) if mark is not None else None
    watermark = None if watermark == _FIRST else watermark
    changed = [(_moment(low), _moment(high)) for low, high in (*logged, *raw_logged)]
    window = _window(job, now, expected.width)
    facts = AggregateFacts(
        expected.view,
        now,
        exists=True,
        real_time=not found.materialized_only,
        raw=found.raw,
        job=job,
        outside_scheduler=outside,
        watermark=watermark,
        newest_raw=extent(connection, _written(found.raw), _time_column(known, found.raw))[1],
        pending=_cut(changed, window, watermark),
        # Every aggregate has the log's first entry, from the beginning of time to the first refresh.
        out_of_reach=_cut([c for c in changed if c[0] > _FIRST], (_FIRST, window[0]), watermark),
        drops_raw_after=_drops(known, found.raw),
    )
    if watermark is None or facts.newest_raw is None:
        return facts
    try:
        return replace(facts, comparisons=_compare(connection, expected, known, found, facts))
    except psycopg.Error as error:
        return replace(facts, problem=explain(cluster.primary, error))


def _compare(
    connection: Connection,
    expected: ContinuousAggregate,
    known: Catalog,
    found: timescale.Aggregate,
    facts: AggregateFacts,
) -> tuple[Comparison, ...]:
    """Compare everything but the pending ranges, from the first whole bucket to the watermark."""
    as_table = _as_aggregate(expected, found, _time_column(known, found.raw))
    oldest_raw = extent(connection, as_table.source, as_table.time_column)[0]
    oldest_bucket = extent(connection, expected.view, expected.bucket)[0]
    if oldest_raw is None or facts.watermark is None:
        return ()
    # If nothing is stored, every raw row's bucket is missing; buckets are aligned with the epoch.
    first = oldest_bucket or _floor(oldest_raw, expected.width)
    whole = comparable(connection, as_table, oldest_raw, min(first, oldest_raw), facts.watermark)
    if whole is None:
        return ()
    start = (
        min(whole[0], _floor(oldest_raw, expected.width) + expected.width) if oldest_raw < first else whole[0]
    )
    query = comparison_query(connection, as_table)
    spans = _without((start, facts.watermark), facts.pending, expected.width)
    return tuple(compare(connection, as_table, query, *span) for span in spans)


def _as_aggregate(expected: ContinuousAggregate, found: timescale.Aggregate, time_column: str) -> Aggregate:
    """Return it as an aggregate that is recomputed by its own definition, limited to the buckets requested."""
    definition = found.definition.strip().rstrip(";").replace("%", "%%")
    bucket = '"' + expected.bucket.replace('"', '""') + '"'
    return Aggregate(
        relation=expected.view,
        bucket=written(expected.bucket),
        width=expected.width,
        key=[written(name) for name in expected.key],
        recompute=f"SELECT * FROM ({definition}) deploygate_raw WHERE {bucket} >= %(start)s AND {bucket} < %(end)s",  # noqa: S608 (the view's own definition)
        source=_written(found.raw),
        time_column=written(time_column),
        tolerance=expected.tolerance,
        max_buckets=expected.max_buckets,
    )


def _written(catalog: str) -> str:
    """Return how schema.name of the catalog is written."""
    return written(*catalog.split(".", 1))


def _time_column(known: Catalog, raw: str) -> str:
    dimensions = known.dimensions.get(raw, ())
    if not dimensions or dimensions[0].interval is None:
        raise CannotTell(f"{raw} has no dimension of a time type: its aggregates cannot be recomputed")
    return dimensions[0].column


def _drops(known: Catalog, raw: str) -> timedelta | None:
    jobs = (job for job in known.jobs if (job.proc, job.table) == (RETENTION, raw))
    return next((job.spans.get("drop_after") for job in jobs), None)


def _window(job: Job | None, now: datetime, width: timedelta) -> Span:
    """Return what the policy's next run refreshes: whole buckets between its two offsets. Without a policy, nothing."""
    if job is None or not job.scheduled:
        return _LAST, _LAST
    start, end = job.spans.get("start_offset"), job.spans.get("end_offset")
    # A bucket that the window covers only in part is not refreshed.
    return (_FIRST if start is None else now - start + width, now if end is None else now - end)


def _cut(changed: list[Span], to: Span, watermark: datetime | None) -> tuple[Span, ...]:
    """Return the parts of ranges that lie in `to` and below the watermark."""
    until = min(to[1], watermark) if watermark else to[1]
    cut = [(max(low, to[0]), min(high, until)) for low, high in changed]
    return tuple(sorted({(low, high) for low, high in cut if low <= high and low < until}))


def _without(whole: Span, gaps: tuple[Span, ...], width: timedelta) -> list[Span]:
    """Return what is left of a span without the buckets that a gap touches."""
    left, start = [], whole[0]
    for low, high in sorted(gaps):
        begins = whole[0] + (low - whole[0]) // width * width
        ends = whole[0] + ((high - whole[0]) // width + 1) * width
        if begins > start:
            left.append((start, min(begins, whole[1])))
        start = max(start, ends)
    if start < whole[1]:
        left.append((start, whole[1]))
    return [span for span in left if span[0] < span[1]]


def _floor(when: datetime, width: timedelta) -> datetime:
    return _EPOCH + (when - _EPOCH) // width * width


def _moment(value: int) -> datetime:
    """Read TimescaleDB's internal time: microseconds since 1970 in UTC; values out of range are clamped."""
    try:
        return min(max(_EPOCH + timedelta(microseconds=value), _FIRST), _LAST)
    except OverflowError:
        return _FIRST if value < 0 else _LAST


def _one(
    connection: Connection, query: str, parameters: Mapping[str, object] | None = None
) -> tuple[Any, ...]:
    return connection.execute(query.encode(), parameters).fetchone() or ()
