"""TimescaleDB's own catalog: extension, licence, workers, hypertables with their chunks, jobs.

Everything is read in one transaction over one connection, which is then closed; tests judge parts of the result. A
login is enough: everyone may read the catalog. Names of background workers need `pg_read_all_stats`. Views and columns
are those of TimescaleDB 2.11 to 2.28: `compression_settings` was replaced by `hypertable_compression_settings`, then
by `hypertable_columnstore_settings`; the policy's `proc_name` is `policy_compression` in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from pytest_deploygate.checks.jobs.facts import ScheduleFacts
from pytest_deploygate.checks.timescale.facts import Chunk, Dimension, Extension, Hypertable, Job, Settings
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.names import identifier
from pytest_deploygate.clients.postgres.one_moment import Ask, one_moment
from pytest_deploygate.clients.remembered import once
from pytest_deploygate.fields.names import plain
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell


@dataclass(frozen=True)
class Aggregate:
    """A continuous aggregate in the catalog: its hypertables by id and name, its definition."""

    view: str
    materialization_id: int
    materialization: str
    raw_id: int
    raw: str
    materialized_only: bool
    definition: str


@dataclass(frozen=True)
class Catalog:
    """The catalog of one database; everything but `now` is empty if the extension is not installed."""

    now: datetime
    server_version: str
    version: str | None
    library: str | None
    license: str | None
    workers: tuple[str, ...] | None
    max_workers: int | None
    max_processes: int | None
    relations: frozenset[str]
    dimensions: Mapping[str, tuple[Dimension, ...]]
    chunks: Mapping[str, tuple[Chunk, ...]]
    settings: Mapping[str, Settings]
    jobs: tuple[Job, ...]
    aggregates: Mapping[str, Aggregate]
    scanned: Mapping[str, int | str]


_SERVER = """
SELECT now(), current_setting('server_version'),
  (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
  (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'),
  current_setting('timescaledb.license', true), current_setting('timescaledb.max_background_workers', true),
  current_setting('max_worker_processes')
"""
# Without pg_read_all_stats, columns of other roles' processes are NULL: an invisible worker is not a missing one.
_WORKERS = """
SELECT pg_has_role('pg_read_all_stats', 'USAGE'),
  array(SELECT backend_type FROM pg_stat_activity WHERE backend_type LIKE 'TimescaleDB Background Worker%'
    AND (backend_type LIKE '%Launcher' OR datname = current_database()))
"""
_RELATIONS = "SELECT name FROM unnest(%(tables)s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"
_DIMENSIONS = """
SELECT hypertable_schema || '.' || hypertable_name, column_name::text, dimension_type, time_interval, num_partitions
FROM timescaledb_information.dimensions ORDER BY 1, dimension_number
"""
_CHUNKS = """
SELECT hypertable_schema || '.' || hypertable_name, chunk_schema || '.' || chunk_name, nullif(nullif(range_start,
  '-infinity'), 'infinity'), nullif(nullif(range_end, 'infinity'), '-infinity'), coalesce(is_compressed, false)
FROM timescaledb_information.chunks WHERE hypertable_schema || '.' || hypertable_name = ANY(%(tables)s)
ORDER BY 3 NULLS FIRST, 2
"""
_AGGREGATES = """
SELECT view_schema || '.' || view_name, m.mat_hypertable_id,
  materialization_hypertable_schema || '.' || materialization_hypertable_name,
  m.raw_hypertable_id, c.hypertable_schema || '.' || c.hypertable_name, c.materialized_only, c.view_definition
FROM timescaledb_information.continuous_aggregates c JOIN _timescaledb_catalog.continuous_agg m
  ON m.user_view_schema = c.view_schema AND m.user_view_name = c.view_name
"""
# psycopg cannot load infinite times. A span that is not an interval (an integer, for integer time) stays NULL.
_JOBS = """
SELECT j.job_id, j.proc_schema || '.' || j.proc_name, coalesce(j.hypertable_schema || '.' || j.hypertable_name, ''),
  j.schedule_interval, j.scheduled, coalesce(j.config, '{}'), nullif(s.last_run_started_at, '-infinity'),
  nullif(s.last_successful_finish, '-infinity'), nullif(nullif(s.next_start, '-infinity'), 'infinity'),
  s.last_run_status, s.job_status, coalesce(s.total_failures, 0)::int8, coalesce(e.err_message, ''),
  (SELECT jsonb_object_agg(k, CASE WHEN v !~ '^-?[0-9]+$' THEN extract(epoch FROM v::interval) END)
    FROM jsonb_each_text(j.config) AS c(k, v)
    WHERE k IN ('drop_after', 'compress_after', 'start_offset', 'end_offset') AND v IS NOT NULL)
FROM timescaledb_information.jobs j LEFT JOIN timescaledb_information.job_stats s USING (job_id)
LEFT JOIN (SELECT DISTINCT ON (job_id) job_id, err_message FROM timescaledb_information.job_errors
  ORDER BY job_id, finish_time DESC NULLS FIRST) e USING (job_id) ORDER BY 1
"""
# The newest view that exists is read; the oldest has a row per column.
_SETTINGS_VIEWS = ("hypertable_columnstore_settings", "hypertable_compression_settings")
_SETTINGS = """
SELECT n.nspname || '.' || c.relname, s.segmentby, s.orderby FROM timescaledb_information.{view} s
JOIN pg_class c ON c.oid = s.hypertable JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE s.segmentby IS NOT NULL OR s.orderby IS NOT NULL
"""
_OLD_SETTINGS = """
SELECT hypertable_schema || '.' || hypertable_name,
  string_agg(attname, ',' ORDER BY segmentby_column_index) FILTER (WHERE segmentby_column_index IS NOT NULL),
  string_agg(attname || CASE WHEN orderby_asc THEN '' ELSE ' DESC' END, ',' ORDER BY orderby_column_index)
    FILTER (WHERE orderby_column_index IS NOT NULL)
FROM timescaledb_information.compression_settings GROUP BY 1
"""


def catalog(cluster: Cluster, tables: Sequence[str]) -> Catalog:
    """Read the catalog of a database once, with the chunks of the relations named. Raises CannotTell."""
    return once(cluster, f"timescale {' '.join(sorted(tables))}", lambda: _open(cluster, tables))


def _open(cluster: Cluster, tables: Sequence[str]) -> Catalog:
    with one_moment(cluster, cluster.primary) as ask:
        return read(ask, tables)


def read(ask: Ask, tables: Sequence[str]) -> Catalog:
    """Read the catalog through an open transaction. Raises CannotTell."""
    now, server, version, library, licence, workers, processes = ask(_SERVER)[0]
    head = (now, server, version, library, licence)
    most = (_whole(workers), _whole(processes))
    if version is None:
        return Catalog(*head, None, *most, frozenset(), {}, {}, {}, (), {}, {})
    visible, kinds = ask(_WORKERS)[0]
    found = [Aggregate(*row) for row in ask(_AGGREGATES)]
    views = {aggregate.materialization: aggregate.view for aggregate in found}
    # An aggregate over another aggregate has the other's materialization as its raw rows.
    aggregates = {a.view: replace(a, raw=views.get(a.raw, a.raw)) for a in found}
    named = [plain(table) for table in tables]
    wanted = [aggregates[name].materialization if name in aggregates else name for name in named]
    dimensions: dict[str, tuple[Dimension, ...]] = _grouped(ask(_DIMENSIONS), views, Dimension)
    chunks: dict[str, tuple[Chunk, ...]] = _grouped(ask(_CHUNKS, {"tables": wanted}), views, Chunk)
    return Catalog(
        *head,
        tuple(kinds) if visible or kinds else None,
        *most,
        relations=frozenset(name for (name,) in ask(_RELATIONS, {"tables": list(tables)})),
        dimensions=dimensions,
        chunks=chunks,
        settings={views.get(row[0], row[0]): _settings(*row[1:]) for row in _read_settings(ask)},
        jobs=tuple(_job(row, views) for row in ask(_JOBS)),
        aggregates=aggregates,
        scanned={
            table: read_ones
            for table in tables
            if (name := plain(table)) not in aggregates
            and name in chunks
            and (read_ones := _scanned(ask, table, dimensions[name][0].column, chunks[name], now)) is not None
        },
    )


def hypertable(cluster: Cluster, table: str, tables: Sequence[str], *, outside: bool = False) -> Hypertable:
    """Return the catalog's facts of one table (or continuous aggregate). Raises CannotTell."""
    found = catalog(cluster, tables)
    if found.version is None:
        raise CannotTell(_without(cluster.settings))
    name = plain(table)
    scanned = found.scanned.get(table)
    return Hypertable(
        table=table,
        now=found.now,
        exists=table in found.relations,
        hypertable=name in found.dimensions,
        dimensions=found.dimensions.get(name, ()),
        chunks=found.chunks.get(name, ()),
        settings=found.settings.get(name),
        jobs=tuple(job for job in found.jobs if job.table == name),
        outside_scheduler=outside,
        scanned=scanned if isinstance(scanned, int) else None,
        problem=scanned if isinstance(scanned, str) else "",
    )


def _without(server: ConnectionSettings) -> str:
    node = server.primary
    return (
        f"the extension timescaledb is not installed in the database {server.name} on {node.host}:{node.port}, "
        "so it cannot be checked: CREATE EXTENSION timescaledb, or name the right database in `timescale`"
    )


def extension(
    cluster: Cluster,
    tables: Sequence[str],
    others: Mapping[str, Cluster],
    schedule: ScheduleFacts | None,
) -> Extension:
    """Return versions, also in other databases of the server, with workers and jobs. Raises CannotTell."""
    found = catalog(cluster, tables)
    versions = {cluster.settings.name: found.version}
    unseen: dict[str, str] = {}
    for name, other in others.items():
        try:
            versions[name] = other.value(
                other.primary, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
            )
        except CannotTell as unknown:
            unseen[name] = str(unknown)
        finally:
            other.close()
    return Extension(
        found.now, found.server_version, versions, unseen, found.library, found.license, found.workers,
        found.max_workers, found.max_processes, found.jobs, schedule,
    )  # fmt: skip


def _scanned(ask: Ask, table: str, column: str, chunks: Sequence[Chunk], now: datetime) -> int | str | None:
    """Explain a query over one chunk's time; return how many chunks it would read, or why that is unknown."""
    here = [c for c in chunks if c.start is not None and c.end is not None and c.start <= now]
    if not here:
        return None
    name = sql.Identifier(column)
    query = sql.SQL(
        "EXPLAIN (FORMAT JSON, VERBOSE) SELECT count(*) FROM {} WHERE {} >= {} AND {} < {}"
    ).format(identifier(table), name, str(here[-1].start), name, str(here[-1].end))
    ask("SAVEPOINT deploygate_explain")
    try:
        plan = ask(query)[0][0][0]["Plan"]
    except CannotTell as unknown:
        ask("ROLLBACK TO SAVEPOINT deploygate_explain")
        return str(unknown)
    names = {chunk.name for chunk in chunks}
    return len({name for name in _relations(plan) if name in names})


def _relations(node: Mapping[str, Any]) -> Iterator[str]:
    if "Relation Name" in node:
        yield f"{node.get('Schema')}.{node['Relation Name']}"
    for inner in node.get("Plans", []):
        yield from _relations(inner)


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _grouped(
    rows: Sequence[tuple[Any, ...]], views: Mapping[str, str], kind: type[Any]
) -> dict[str, tuple[Any, ...]]:
    """Collect rows by their first column; a materialization's table is listed under the name of its view."""
    found: dict[str, list[Any]] = {}
    for table, *rest in rows:
        found.setdefault(views.get(table, table), []).append(kind(*rest))
    return {table: tuple(entries) for table, entries in found.items()}


def _read_settings(ask: Ask) -> list[tuple[Any, ...]]:
    names = [f"timescaledb_information.{view}" for view in _SETTINGS_VIEWS]
    there = {name for (name,) in ask(_RELATIONS, {"tables": names})}
    view = next((view for view, name in zip(_SETTINGS_VIEWS, names, strict=True) if name in there), None)
    return ask(_SETTINGS.format(view=view) if view else _OLD_SETTINGS)


def _settings(segmentby: str | None, orderby: str | None) -> Settings:
    def listed(text: str | None) -> tuple[str, ...]:
        return tuple(part.strip() for part in (text or "").split(",") if part.strip())

    return Settings(listed(segmentby), listed(orderby))


def _job(row: tuple[Any, ...], views: Mapping[str, str]) -> Job:
    ident, proc, table, *rest, seconds = row
    schema, _, name = str(proc).rpartition(".")
    ours = schema in ("_timescaledb_functions", "_timescaledb_internal")
    spans = {
        key: None if value is None else timedelta(seconds=float(value))
        for key, value in (seconds or {}).items()
    }
    return Job(*(ident, name if ours else proc, views.get(table, table), *rest, spans))
