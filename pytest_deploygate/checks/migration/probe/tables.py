"""Which tables are moved, by the rules of the migration and the catalogs of both sides."""

from __future__ import annotations

from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.clients.postgres.one_moment import Ask

#: Rows are estimated; of partitioned tables they are those of the partitions.
_TABLES = """
WITH RECURSIVE wanted AS (
  SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^(pg_toast|_timescaledb|timescaledb_)'
), tree AS (
  SELECT oid AS top, oid FROM wanted UNION ALL SELECT t.top, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
)
SELECT w.nspname, w.relname, coalesce(sum(greatest(s.n_live_tup, c.reltuples, 0)), 0)::bigint,
  coalesce(sum(pg_total_relation_size(t.oid)), 0)::bigint,
  coalesce(sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del), 0)::bigint, coalesce(sum(s.n_tup_ins), 0)::bigint
FROM wanted w JOIN tree t ON t.top = w.oid JOIN pg_class c ON c.oid = t.oid
LEFT JOIN pg_stat_all_tables s ON s.relid = t.oid GROUP BY 1, 2 ORDER BY 1, 2
"""
#: Name to (rows, bytes, rows written since the statistics began, rows inserted).
Tables = dict[tuple[str, str], tuple[int, int, int, int]]


def read(ask: Ask) -> Tables:
    """Return the tables of a side. Raises CannotTell."""
    return {(schema, name): tuple(map(int, numbers)) for schema, name, *numbers in ask(_TABLES)}  # type: ignore[misc]


def moved(tables: Tables, migration: Migration) -> dict[tuple[str, str], tuple[str, str]]:
    """Return where each table of the source that is moved is on the target."""
    found = {}
    for schema, name in tables:
        rule = migration.rule(schema, name)
        if rule is not None and not migration.reason_left_out(schema, name):
            found[schema, name] = rule.at_target(name)
    return found
