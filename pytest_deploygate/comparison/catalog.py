"""Which tables, columns and keys a PostgreSQL database has, as far as a comparison needs them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pytest_deploygate.comparison import forms
from pytest_deploygate.comparison.described import Catalog, Column, Described
from pytest_deploygate.comparison.statements import quoted

if TYPE_CHECKING:  # a server reads its catalog with this module
    from pytest_deploygate.comparison.sides import PostgresServer

_TABLES = """
WITH RECURSIVE wanted AS (
  SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^(pg_toast|_timescaledb|timescaledb_)'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), tree AS (
  SELECT oid AS top, oid FROM wanted UNION ALL
  SELECT t.top, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
), sizes AS (
  SELECT t.top, sum(greatest(c.reltuples, 0))::bigint AS tuples, sum(pg_relation_size(c.oid))::bigint AS bytes
  FROM tree t JOIN pg_class c ON c.oid = t.oid GROUP BY 1
)
SELECT w.nspname, w.relname, CASE WHEN s.tuples > 0 THEN s.tuples ELSE s.bytes / 100 END, s.bytes / current_setting('block_size')::int,
  (SELECT json_agg(json_build_object('name', a.attname, 'type', CASE t.typtype WHEN 'd'
      THEN format_type(t.typbasetype, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END,
      'enum', coalesce(b.typtype, t.typtype) = 'e', 'filled', a.attnotnull,
      'bytewise', a.attcollation = 0 OR coalesce(o.collname IN ('C', 'POSIX', 'ucs_basic'), false)
        OR (o.collname = 'default' AND (SELECT coalesce(to_jsonb(d)->>'datlocprovider', 'c') IN ('c', 'b')
          AND coalesce(to_jsonb(d)->>'datlocale', d.datcollate) IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')
          FROM pg_database d WHERE d.datname = current_database())),
      'correlation', (SELECT max(abs(p.correlation)) FROM pg_stats p
        WHERE p.schemaname = w.nspname AND p.tablename = w.relname AND p.attname = a.attname))
      ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype
    LEFT JOIN pg_collation o ON o.oid = a.attcollation
    WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT json_agg(k.names ORDER BY k.main DESC, k.width, k.names::text) FROM (
    SELECT i.indisprimary AS main, i.indnkeyatts AS width, array_agg(a.attname::text ORDER BY u.at) AS names
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS u(number, at)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number
    WHERE i.indrelid = w.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
      AND u.at <= i.indnkeyatts
    GROUP BY i.indexrelid, i.indisprimary, i.indnkeyatts HAVING bool_and(a.attnotnull)) AS k),
  (SELECT a.attname FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = w.oid AND p.partnatts = 1)
FROM wanted w JOIN sizes s ON s.top = w.oid ORDER BY 1, 2
"""
#: Hypertables and the column that their chunks are made by; the views of TimescaleDB, where it is installed.
_HYPERTABLES = """
SELECT hypertable_schema, hypertable_name, column_name FROM timescaledb_information.dimensions WHERE dimension_number = 1
"""
_HAS_TIMESCALE = "SELECT to_regclass('timescaledb_information.dimensions') IS NOT NULL"
_LARGE_OBJECTS = "SELECT count(*) FROM pg_largeobject_metadata"


def read(server: PostgresServer) -> Catalog:
    """Read the catalog. Partitions and chunks belong to their table. Raises CannotTell."""
    with server.connect() as connection:
        rows = server.fetched(connection, _TABLES)
        driven: dict[tuple[str, str], str] = defaultdict(str)
        if server.fetched(connection, _HAS_TIMESCALE)[0][0]:
            driven.update({(s, t): column for s, t, column in server.fetched(connection, _HYPERTABLES)})
        large_objects = int(server.fetched(connection, _LARGE_OBJECTS)[0][0])
    found = {}
    for schema, name, tuples, pages, columns, keys, partitioned_by in rows:
        found[schema, name] = Described(
            (schema, name),
            tuple(_column(column) for column in columns or ()),
            tuple(tuple(key) for key in keys or ()),
            int(tuples),
            int(pages),
            driven[schema, name] or partitioned_by or "",
        )
    return Catalog(found, large_objects)


def _column(given: dict[str, Any]) -> Column:
    kind, bytewise = given["type"], given["bytewise"]
    return Column(
        **given,
        forms=forms.of_postgres(quoted(given["name"]), kind, enum=given["enum"]),
        order=forms.order_of_postgres(kind, bytewise=bytewise),
    )
