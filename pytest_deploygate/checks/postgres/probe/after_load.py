"""Read what bulk loads leave behind: sequences, statistics, constraints, triggers, replica identity, unlogged tables.

Six catalog queries, and one for each hundred sequences. Tables are read only at the ends of their sequences' columns.
"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from pytest_deploygate.checks.postgres.facts import AfterLoadFacts, Sequence
from pytest_deploygate.checks.postgres.section.after_load import AfterLoad
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.names import matches
from pytest_deploygate.model import CannotTell

_BATCH = 100


# The user's relations in the wanted schemas: not the system's, not an extension's.
_OWN = """
own AS MATERIALIZED (
    SELECT c.oid, n.nspname || '.' || c.relname AS name, c.relkind, c.relpersistence, c.relreplident,
        c.reloptions, c.reltuples, c.relpages, c.relispartition FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname IS DISTINCT FROM %(own)s
        AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY(%(schemas)s))
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.deptype = 'e')
)
"""
# reltuples is -1 (0 before 14) until the first ANALYZE or VACUUM. Empty tables need none.
_TABLES = f"""
WITH {_OWN}, leaves AS (
    SELECT DISTINCT a.relid AS root FROM own o CROSS JOIN LATERAL pg_partition_ancestors(o.oid) a
    WHERE o.relispartition AND o.relkind = 'r' AND o.relpages > 0)
SELECT o.name, o.relkind::text, o.relpersistence::text,
    CASE WHEN o.relkind = 'p' THEN o.oid IN (SELECT root FROM leaves) ELSE o.relpages > 0
        OR pg_relation_size(o.oid) > 0 END,
    o.reltuples::float8, CASE WHEN o.relpages > 0 THEN pg_stat_get_mod_since_analyze(o.oid) ELSE 0 END,
    CASE WHEN o.relpages > 0 THEN pg_stat_get_live_tuples(o.oid) ELSE 0 END,
    -- Kept as it was written: false, off, no, 0, and what begins so.
    EXISTS (SELECT FROM pg_options_to_table(o.reloptions) WHERE option_name = 'autovacuum_enabled' AND NOT option_value::bool)
FROM own o WHERE o.relkind IN ('r', 'p', 'm')
"""  # noqa: S608 (constants of this file)
_NOT_VALID = f"""
WITH {_OWN} SELECT o.name || ': ' || c.conname FROM pg_constraint c JOIN own o ON o.oid = c.conrelid
WHERE NOT c.convalidated ORDER BY 1
"""  # noqa: S608 (constants of this file)
_OFF = f"""
WITH {_OWN} SELECT o.name, CASE WHEN t.tgisinternal THEN 'foreign key ' || coalesce(c.conname, t.tgname)
    ELSE 'trigger ' || t.tgname END
FROM pg_trigger t JOIN own o ON o.oid = t.tgrelid LEFT JOIN pg_constraint c ON c.oid = t.tgconstraint
WHERE t.tgenabled = 'D' GROUP BY 1, 2
UNION ALL SELECT 'database', 'event trigger ' || evtname FROM pg_event_trigger WHERE evtenabled = 'D'
ORDER BY 1, 2
"""  # noqa: S608 (constants of this file)
_IDENTITY = f"""
WITH {_OWN}, published AS MATERIALIZED (
    SELECT p.schemaname || '.' || p.tablename AS name FROM pg_publication_tables p
    JOIN pg_publication b ON b.pubname = p.pubname WHERE b.pubupdate OR b.pubdelete)
SELECT o.name FROM own o
WHERE o.relkind = 'r' AND (%(all)s OR o.name IN (SELECT name FROM published))
    AND (o.relreplident = 'n' OR (o.relreplident = 'd' AND NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = o.oid AND i.indisprimary AND i.indisvalid)))
ORDER BY 1
"""  # noqa: S608 (constants of this file)
# Sequences that a column owns, and those that a column's default uses without owning them. The last value is NULL until the sequence returns its first value, while is_called is false.
# A default that names its sequence as text, as old dumps do, depends on nothing: nextval(('s'::text)::regclass).
_PART_OF_NAME = r'(?:[a-z_][a-z0-9_$]*|"[^"]+")'
_BY_TEXT = rf"'nextval\(\(?''({_PART_OF_NAME}(?:\.{_PART_OF_NAME})?)''::text'"
_SEQUENCES = f"""
WITH {_OWN} SELECT o.name, t.name, a.attname, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle,
    pg_sequence_last_value(o.oid), has_sequence_privilege(o.oid, 'SELECT') OR has_sequence_privilege(o.oid, 'USAGE'),
    has_table_privilege(t.oid, 'SELECT'), s.seqtypid::regtype::text, a.atttypid::regtype::text
FROM own o JOIN pg_sequence s ON s.seqrelid = o.oid
JOIN (
    SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND refclassid = 'pg_class'::regclass AND refobjsubid > 0
    UNION SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
    UNION SELECT to_regclass(m.name[1]), f.adrelid, f.adnum FROM pg_attrdef f JOIN own o ON o.oid = f.adrelid
        CROSS JOIN LATERAL regexp_match(pg_get_expr(f.adbin, f.adrelid), {_BY_TEXT}) AS m (name)
    WHERE m.name IS NOT NULL
) d ON d.sequence = o.oid
JOIN own t ON t.oid = d.relation
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.number
    AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
ORDER BY 1, 2, 3
"""  # noqa: S608 (constants of this file)
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


def left_by_load(cluster: Cluster, wanted: AfterLoad) -> AfterLoadFacts:
    """Read the primary's catalog and the ends of its sequences. Raises CannotTell."""
    parameters = {"own": cluster.writes_schema, "schemas": wanted.schemas, "all": wanted.replica_identity}
    ignored: set[str] = set()

    def kept(name: str) -> bool:
        if any(matches(name.partition(": ")[0], pattern) for pattern in wanted.ignore):
            ignored.add(name)
            return False
        return True

    def ask(query: str) -> list[tuple[Any, ...]]:
        return cluster.rows(cluster.primary, query, parameters)

    tables = [row for row in ask(_TABLES) if kept(row[0])]
    sequences, unread = _sequences(cluster, [row for row in ask(_SEQUENCES) if kept(row[1])])
    filled = [row for row in tables if row[3]]
    old = cluster.value(cluster.primary, "SELECT current_setting('server_version_num')::int < 140000")
    unknown = 0 if old else -1
    return AfterLoadFacts(
        node=cluster.primary.name,
        tables=len(tables),
        with_rows=len(filled),
        sequences=tuple(sequences),
        # Before 14, ANALYZE stores no row count for a partitioned table itself, only for its partitions.
        unanalyzed=tuple(
            sorted(row[0] for row in filled if row[4] <= unknown and not (old and row[1] == "p"))
        ),
        stale=tuple(sorted(row[0] for row in filled if row[4] > unknown and row[5] > max(1000, row[6] / 2))),
        not_valid=tuple(name for (name,) in ask(_NOT_VALID) if kept(name)),
        switched_off=tuple(f"{name}: {part}" for name, part in ask(_OFF) if kept(name)),
        no_identity=tuple(name for (name,) in ask(_IDENTITY) if kept(name)),
        unlogged=tuple(sorted(row[0] for row in tables if row[2] == "u")),
        no_autovacuum=tuple(sorted(row[0] for row in tables if row[7])),
        ignored=tuple(sorted(ignored)),
        unread=tuple(unread),
    )


def _sequences(cluster: Cluster, rows: list[tuple[Any, ...]]) -> tuple[list[Sequence], list[str]]:
    hidden = [f"{row[0]}: GRANT SELECT ON it and on {row[1]}" for row in rows if not (row[8] and row[9])]
    seen = [row for row in rows if row[8] and row[9]]
    found: list[Sequence] = []
    for batch in (seen[i : i + _BATCH] for i in range(0, len(seen), _BATCH)):
        highest = _highest(cluster, batch, hidden)
        found += [_sequence(row, highest[_use(row)]) for row in batch if _use(row) in highest]
    return found, hidden


def _highest(cluster: Cluster, batch: list[tuple[Any, ...]], unread: list[str]) -> dict[str, int | None]:
    """Query a batch in one statement; if that fails, one by one, so that a locked table hides only itself."""
    try:
        return dict(cluster.rows(cluster.primary, _ends(batch)))
    except CannotTell as unknown:
        if len(batch) == 1:
            unread.append(f"{batch[0][0]}: {unknown}")
            return {}
    found: dict[str, int | None] = {}
    for row in batch:
        found |= _highest(cluster, [row], unread)
    return found


def _use(row: tuple[Any, ...]) -> str:
    """Return a sequence with the column that uses it: several columns may use one."""
    return f"{row[0]} {row[1]}.{row[2]}"


def _ends(batch: list[tuple[Any, ...]]) -> sql.Composed:
    return sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, (SELECT {}({}) FROM {})::int8").format(
            sql.Literal(_use(row)),
            sql.SQL("max" if row[3] > 0 else "min"),
            sql.Identifier(row[2]),
            sql.Identifier(*row[1].split(".", 1)),
        )
        for row in batch
    )


def _sequence(row: tuple[Any, ...], highest: int | None) -> Sequence:
    name, table, column, increment, first, last, cycles, given, *_, column_type = row
    # A bigint sequence of an integer column is limited by the column's type.
    largest = _LARGEST.get(column_type, last)
    return Sequence(name, f"{table}.{column}", given, highest, increment, first, min(last, largest), cycles)
