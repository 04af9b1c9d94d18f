"""Read a table's native range partitions: bounds, rows in the default partition, and whether queries prune."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from psycopg import sql

from pytest_deploygate.checks.structure.facts import Partition, Partitions, is_key
from pytest_deploygate.checks.structure.section import Partitioned
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.names import another_case, identifier
from pytest_deploygate.clients.postgres.one_moment import Ask, one_moment

MOST_DEFAULT_ROWS = 1_000_000


_KIND = """
SELECT now(), c.relkind::text, p.partstrat::text, coalesce(pg_get_partkeydef(c.oid), '')
FROM (SELECT to_regclass(%(table)s) AS oid) t LEFT JOIN pg_class c ON c.oid = t.oid
LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
"""
_CHILDREN = """
SELECT n.nspname || '.' || c.relname, pg_get_expr(c.relpartbound, c.oid), format('%%I.%%I', n.nspname, c.relname)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = %(table)s::regclass AND c.relispartition ORDER BY 1
"""
# Partitions may be partitioned themselves; plans name the leaves.
_LEAVES = """
SELECT n.nspname || '.' || c.relname, i.inhrelid::int8
FROM pg_inherits i CROSS JOIN LATERAL pg_partition_tree(i.inhrelid) leaf
JOIN pg_class c ON c.oid = leaf.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = %(table)s::regclass AND leaf.isleaf
"""
_BOUND = re.compile(r"FOR VALUES FROM \(('[^']*'|MINVALUE)\) TO \(('[^']*'|MAXVALUE)\)")


def read_partitions(cluster: Cluster, partitioned: Partitioned) -> Partitions:
    """Read a table's partitions from the primary. Raises CannotTell."""
    with one_moment(cluster, cluster.primary) as ask:
        return _read(ask, partitioned)


def _read(ask: Ask, partitioned: Partitioned) -> Partitions:
    name = partitioned.table
    now, relkind, strategy, key = ask(_KIND, {"table": name})[0]
    if relkind is None:
        return Partitions(name, None, "", now, near=another_case(ask, name))
    kind = {"r": "range", "l": "list", "h": "hash"}.get(strategy, "table") if relkind == "p" else "table"
    if kind != "range":
        return Partitions(name, kind, key, now)
    children = ask(_CHILDREN, {"table": name})
    default, quoted = next(((child, q) for child, bound, q in children if bound == "DEFAULT"), (None, ""))
    ranges, unread = _ranges([(child, bound) for child, bound, _ in children if bound != "DEFAULT"])
    return Partitions(
        table=name,
        kind=kind,
        key=key,
        now=now,
        ranges=ranges,
        unread=unread,
        default=default,
        default_rows=_count(ask, quoted) if default else None,
        # With another key the bounds are not times of the column; the judge reports the wrong key.
        scanned=_scanned(ask, partitioned, ranges, now) if is_key(key, partitioned.column) else None,
        total=len(children),
    )


def _ranges(children: list[tuple[str, str]]) -> tuple[tuple[Partition, ...], tuple[str, ...]]:
    ranges, unread = [], []
    for name, bound in children:
        found = _BOUND.fullmatch(bound)
        part = _partition(name, found) if found else None
        if part:
            ranges.append(part)
        else:
            unread.append(f"{name}: {bound}")
    first = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(ranges, key=lambda r: r.start or first)), tuple(unread)


def _partition(name: str, bounds: re.Match[str]) -> Partition | None:
    try:
        return Partition(name, _moment(bounds[1]), _moment(bounds[2]))
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    """Parse a bound as PostgreSQL writes it with the time zone UTC. Raises ValueError if it is not a time."""
    if text in ("MINVALUE", "MAXVALUE"):
        return None
    when = datetime.fromisoformat(text.strip("'"))
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _count(ask: Ask, quoted: str) -> int:
    """Count the rows of the default partition itself: statistics are -1 before ANALYZE."""
    table = sql.SQL(quoted)  # quoted by the server
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT {}) rows").format(table, MOST_DEFAULT_ROWS)
    return int(ask(query)[0][0])


def _scanned(ask: Ask, partitioned: Partitioned, ranges: tuple[Partition, ...], now: datetime) -> int | None:
    """Explain a query over one partition's range and count the partitions that it would read."""
    here = next((r for r in ranges if r.start and r.end and r.start <= now < r.end), None)
    here = here or next((r for r in reversed(ranges) if r.start and r.end), None)
    if here is None:
        return None
    query = sql.SQL(
        "EXPLAIN (FORMAT JSON, VERBOSE) SELECT count(*) FROM {} WHERE {} >= {} AND {} < {}"
    ).format(
        identifier(partitioned.table),
        sql.Identifier(partitioned.column),
        str(here.start),
        sql.Identifier(partitioned.column),
        str(here.end),
    )
    plan = ask(query)[0][0][0]["Plan"]
    parts: dict[str, int] = dict(ask(_LEAVES, {"table": partitioned.table}))
    read_ones = {
        f"{node['Schema']}.{node['Relation Name']}" for node in _nodes(plan) if "Relation Name" in node
    }
    return len({parts.get(name, name) for name in read_ones})


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)
