"""Tables of the database: schemas, native partitions by time, and time columns that a retention could be about."""

import re
from collections import Counter
from datetime import UTC, datetime

from pytest_deploygate.checks.structure.probe import catalog
from pytest_deploygate.discovery.postgres.asking import Server, duration, some
from pytest_deploygate.fields.names import written
from pytest_deploygate.model import CannotTell

_PARTITIONED = """
SELECT n.nspname::text, c.relname::text, a.attname::text,
  array(SELECT pg_get_expr(p.relpartbound, p.oid) FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
    WHERE i.inhparent = c.oid AND p.relispartition)
FROM pg_partitioned_table t JOIN pg_class c ON c.oid = t.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = t.partattrs[0] JOIN pg_type y ON y.oid = a.atttypid
WHERE t.partstrat = 'r' AND t.partnatts = 1 AND NOT c.relispartition
  AND y.typname IN ('date', 'timestamp', 'timestamptz')
ORDER BY 1, 2
"""
_OTHERWISE = """
SELECT n.nspname::text, c.relname::text, pg_get_partkeydef(c.oid) FROM pg_partitioned_table t
JOIN pg_class c ON c.oid = t.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = t.partattrs[0] LEFT JOIN pg_type y ON y.oid = a.atttypid
WHERE NOT c.relispartition AND NOT coalesce(t.partstrat = 'r' AND t.partnatts = 1
  AND y.typname IN ('date', 'timestamp', 'timestamptz'), false) ORDER BY 1, 2
"""
_TIMES = """
SELECT DISTINCT ON (pg_total_relation_size(c.oid), c.oid) n.nspname::text, c.relname::text, a.attname::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
JOIN pg_type y ON y.oid = a.atttypid
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
  AND y.typname IN ('date', 'timestamp', 'timestamptz') AND n.nspname = ANY(%(schemas)s)
ORDER BY pg_total_relation_size(c.oid) DESC, c.oid, a.attnum
"""
_VIEWS = """
SELECT schemaname::text, matviewname::text FROM pg_matviews WHERE schemaname = ANY(%(schemas)s) ORDER BY 1, 2
"""
_BOUND = re.compile(r"FOR VALUES FROM \('([^']*)'\) TO \('([^']*)'\)")
#: A month, a quarter and a year, which are not always of one length.
_CALENDAR = ((28, 31, 30), (89, 92, 91), (365, 366, 365))
#: Schemas in which TimescaleDB keeps chunks, which come and go.
_OF_CHUNKS = "_timescaledb"
_CATALOG = "CONNECT on the database"


def schemas(server: Server, gate: str | None) -> list[str]:
    """Return the schemas with the user's tables, and note them."""
    cluster = server.cluster
    try:
        found = [n for n in catalog.own_schemas(cluster) if n != gate and not n.startswith(_OF_CHUNKS)]
    except CannotTell as unknown:
        server.unread("schemas", str(unknown), _CATALOG)
        return []
    if found:
        server.fact("after_load.schemas", found, "schemas that hold tables")
    else:
        server.wanted("database.tables", "the database has no tables yet; `deploygate snapshot` when it has")
    return found


def partitions(server: Server, own: list[str]) -> None:
    """Note tables that are partitioned by time, with the width that their partitions have."""
    for schema, table, column, bounds in server.rows("partitions", _PARTITIONED, _CATALOG) or ():
        if schema not in own:
            continue
        name = written(schema, table)
        widths = Counter(width for bound in bounds if (width := _width(bound)))
        if not widths:
            server.wanted(
                "database.partitioning", f"{name} is partitioned by {column} and has no partition with bounds"
            )
            continue
        width, count = widths.most_common(1)[0]
        server.fact(
            "database.partitioning",
            {"table": name, "column": written(column), "interval": duration(width)},
            f"pg_partitioned_table; {count} of {len(bounds)} partitions are this wide",
            entry=True,
        )
    other = server.rows("partitions by other keys", _OTHERWISE, _CATALOG) or []
    if names := [f"{written(s, t)} ({key})" for s, t, key in other if s in own]:
        server.remark(
            f"partitioned by something else than one time column, which no item checks: {some(names)}"
        )


def _width(bound: str) -> float | None:
    """Return the width of a partition in seconds; months, quarters and years as their usual number of days."""
    found = _BOUND.fullmatch(bound)
    if found is None:
        return None
    try:
        start, end = (datetime.fromisoformat(text) for text in found.groups())
    except ValueError:
        return None
    start, end = (time if time.tzinfo else time.replace(tzinfo=UTC) for time in (start, end))
    seconds = (end - start).total_seconds()
    days = round(seconds / 86400)
    return next((usual * 86400.0 for least, most, usual in _CALENDAR if least <= days <= most), seconds)


def hints(server: Server, own: list[str]) -> None:
    """Note what people can say more about: how long rows are kept, and what views are computed from."""
    found = {"schemas": own}
    times = server.rows("time columns", _TIMES, _CATALOG, found) or []
    if times:
        names = [f"{written(schema, table)}.{written(column)}" for schema, table, column in times]
        server.wanted(
            "database.retention",
            f"how long rows are kept; time columns of the largest tables: {some(names, 6)}",
        )
    views = server.rows("materialized views", _VIEWS, _CATALOG, found) or []
    if views:
        names = [written(schema, view) for schema, view in views]
        server.wanted(
            "database.aggregates", f"materialized views that could be recomputed from raw rows: {some(names)}"
        )
    server.wanted(
        "database.validation", "queries with the answers that they must return; only people know them"
    )
    server.wanted("database.indexes.queries", "queries that must use an index")
