"""The contents of a database, as digests by which two servers can be compared.

The source continues to be written, so it is read in two snapshots, one taken just before the marker and one just
after; each table is divided into parts by the hash of its rows. A part that is the same in both snapshots was the same
at the marker, and must be the same in the restored database; a part that changed in those milliseconds must be as
before or as after, and counts as uncertain if it is neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from psycopg import sql
from psycopg.pq import TransactionStatus

from pytest_deploygate.clients.postgres.cluster import Connection
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

PARTS = 32
#: Tables that are locked (ACCESS SHARE) at a time while a snapshot is read.
_LOCKED = 50
#: A row of the table whose alias is `t`, as text. `t::text` would be the column `t` of a table that has one.
ROW = "(t.*)::text"
#: Rows and numbers must read the same on both sides.
SETTINGS = (
    "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1;"
    " SET bytea_output = 'hex'; SET xmloption = 'content'; SET search_path = pg_catalog; SET lock_timeout = '5s';"
    " SET max_parallel_workers_per_gather = 0; SET row_security = off;"
)
# User tables, without those that recovery empties (unlogged) or never has (temporary, foreign), and the gate's own.
_TABLES = """
SELECT n.nspname, c.relname, pg_table_size(c.oid), c.relpages,
    has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid), c.relpersistence, c.relispopulated
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""
#: One line per catalog object that a restore must contain: kind, name, definition.
CATALOG = """
SELECT 'relation', n.nspname || '.' || c.relname, concat_ws(' ', c.relkind, c.relpersistence, pg_get_userbyid(c.relowner), c.relacl)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
UNION ALL SELECT 'columns', a.attrelid::regclass::text,
    md5(string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull), ',' ORDER BY a.attnum))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND c.relpersistence <> 't' GROUP BY a.attrelid
UNION ALL SELECT 'index', i.indexrelid::regclass::text,
    md5(concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
UNION ALL SELECT 'constraint', o.conrelid::regclass || '.' || o.conname, md5(concat_ws(' ', pg_get_constraintdef(o.oid), o.convalidated))
FROM pg_constraint o JOIN pg_namespace n ON n.oid = o.connamespace WHERE n.nspname !~ '^pg_' AND o.conrelid <> 0
    AND n.nspname <> 'information_schema'
UNION ALL SELECT 'function', p.oid::regprocedure::text, md5(concat_ws(' ', p.prosrc, p.prolang, p.proacl, p.provolatile))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL SELECT 'trigger', t.tgrelid::regclass || '.' || t.tgname, md5(concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled))
FROM pg_trigger t WHERE NOT t.tgisinternal
UNION ALL SELECT 'extension', extname, extversion FROM pg_extension
UNION ALL SELECT 'role', rolname, concat_ws(' ', rolsuper, rolcanlogin, rolreplication, rolbypassrls) FROM pg_roles
WHERE rolname !~ '^pg_'
ORDER BY 1, 2
"""

#: Rows and sum of their hashes, by part of a table.
Parts = Mapping[int, tuple[int, str]]


@dataclass(frozen=True)
class Table:
    """A table to compare. `blocks` is the size of the sample (None: all of it) out of `pages`."""

    schema: str
    name: str
    blocks: int | None = None
    pages: int = 0

    @property
    def label(self) -> str:
        """schema.name."""
        return f"{self.schema}.{self.name}"

    def digest(self) -> sql.Composed:
        """Return the query for its label and its parts as JSON."""
        return sql.SQL(
            "SELECT {label}, coalesce(json_agg(json_build_array(part, n, total)), '[]')::text FROM (SELECT part, count(*) AS n,"
            " sum(h)::text AS total FROM (SELECT h, h & {last} AS part FROM (SELECT hashtextextended({row}, 0) AS h"
            " FROM ONLY {table} t{where} OFFSET 0) r) p GROUP BY part) g"
        ).format(
            label=sql.Literal(self.label),
            last=sql.Literal(PARTS - 1),
            row=sql.SQL(ROW),
            table=sql.Identifier(self.schema, self.name),
            where=self._sample(),
        )

    def _sample(self) -> sql.Composable:
        """Return the condition for the first and last blocks: physical restores keep rows where they were."""
        if self.blocks is None:
            return sql.SQL("")
        half = max(1, self.blocks // 2)
        return sql.SQL(" WHERE ctid < {} OR ctid >= {}").format(
            sql.Literal(f"({half},0)"), sql.Literal(f"({max(half, self.pages - half)},0)")
        )


@dataclass(frozen=True)
class Contents:
    """Digests of tables by label, and the lines of the catalog."""

    tables: dict[str, Parts]
    catalog: frozenset[tuple[str, str, str]]


@dataclass(frozen=True)
class Chosen:
    """The tables to compare, and those left out, with the reason."""

    tables: tuple[Table, ...]
    left_out: tuple[str, ...]


def choose(connection: Connection, own_schema: str, whole_bytes: int, own_table: str = "") -> Chosen:
    """Decide which tables are compared, whole or by blocks. The gate's own marker table changes during the drill and is left out."""
    tables, left_out = [], []
    for schema, name, size, pages, readable, persistence, populated in connection.execute(
        _TABLES.encode()
    ).fetchall():
        label = f"{schema}.{name}"
        if schema == own_schema and name == own_table:
            continue
        if persistence == "u":
            left_out.append(f"{label} (unlogged: empty after any recovery)")
        elif not populated:
            left_out.append(f"{label} (a materialized view without contents: REFRESH it)")
        elif not readable:
            left_out.append(f"{label} (the gate's role may not read all of it)")
        elif size > whole_bytes:
            tables.append(Table(schema, name, max(2, whole_bytes // 8192), pages))
        else:
            tables.append(Table(schema, name))
    return Chosen(tuple(tables), tuple(left_out))


def read(connection: Connection, tables: Iterable[Table]) -> Contents:
    """Read digests on a connection that is already in a snapshot."""
    found = {}
    within = connection.info.transaction_status is TransactionStatus.INTRANS
    for number, table in enumerate(tables):
        if within and number % _LOCKED == 0:
            # Without this, the locks of thousands of tables would fill the server's lock table.
            connection.execute(b"ROLLBACK TO deploygate" if number else b"SAVEPOINT deploygate")
        row = connection.execute(table.digest()).fetchone()
        if row:
            found[row[0]] = _parts(row[1])
    if within and found:
        connection.execute(b"ROLLBACK TO deploygate")
    lines = connection.execute(CATALOG.encode()).fetchall()
    return Contents(found, frozenset((str(kind), str(name), str(what)) for kind, name, what in lines))


def script(connection: Connection, tables: Iterable[Table]) -> str:
    """Return a psql script that prints the same for the restored database: `t`, label, parts; `c`, kind, name, definition."""
    lines = [SETTINGS, "SET statement_timeout = 0;"]
    for table in tables:
        digest = table.digest().as_string(connection)
        lines.append(f"SELECT 't', q.* FROM ({digest}) q;")  # noqa: S608 (composed above)
    lines.append(f"SELECT 'c', q.* FROM ({CATALOG}) q;")  # noqa: S608 (ours)
    return "\n".join(lines)


def parse(output: str) -> Contents:
    """Parse the output of that script. Pure. Raises CannotTell."""
    tables: dict[str, Parts] = {}
    catalog = set()
    for line in output.splitlines():
        match line.split("\t"):
            case ["t", label, parts]:
                tables[label] = _parts(parts)
            case ["c", kind, name, definition]:
                catalog.add((kind, name, definition))
            case _:
                raise CannotTell(f"the restored server returned something unexpected: {line[:200]}")
    return Contents(tables, frozenset(catalog))


def _parts(text: str) -> Parts:
    return {int(part): (int(rows), str(total)) for part, rows, total in json.loads(text)}


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison. `differs` has a line for each table; rows are counted in the restored database.

    `uncertain_rows` are in parts that changed at the very moment of the marker and are neither as before nor as after.
    """

    tables: int
    rows: int
    differs: tuple[str, ...]
    uncertain_rows: int
    catalog_lines: int
    catalog_differs: tuple[str, ...]
    sampled: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def compare(before: Contents, after: Contents, restored: Contents, chosen: Chosen) -> Comparison:
    """Compare the restored database with the source's two snapshots around the marker. Pure."""
    differs, uncertain, rows = [], 0, 0
    for label in sorted(after.tables):
        mine = restored.tables.get(label)
        if mine is None:
            if label in before.tables:
                differs.append(f"{label} is missing")
            continue
        rows += sum(n for n, _ in mine.values())
        wrong, unknown = _table(before.tables.get(label, {}), after.tables[label], mine)
        uncertain += unknown
        if wrong:
            differs.append(f"{label}: {wrong}")
    lost = (before.catalog & after.catalog) - restored.catalog
    extra = restored.catalog - (before.catalog | after.catalog)
    catalog = [
        *_lines(lost, "missing or different"),
        *_lines({x for x in extra if not _same(x, lost)}, "not in the source"),
    ]
    sampled = tuple(t.label for t in chosen.tables if t.blocks is not None)
    return Comparison(
        len(restored.tables), rows, tuple(differs), uncertain, len(restored.catalog), tuple(catalog), sampled, chosen.left_out
    )  # fmt: skip


def _table(before: Parts, after: Parts, restored: Parts) -> tuple[str, int]:
    """Return how a table differs (empty: it does not), and how many rows are uncertain."""
    none = (0, "0")
    unknown, wrong_parts, expected, found = 0, 0, 0, 0
    for part in range(PARTS):
        a, b, r = before.get(part, none), after.get(part, none), restored.get(part, none)
        if r in (a, b):
            continue
        if a == b:
            wrong_parts, expected, found = wrong_parts + 1, expected + b[0], found + r[0]
        else:
            unknown += max(b[0], r[0])
    if not wrong_parts:
        return "", unknown
    change = (
        f"{abs(found - expected)} rows {'too few' if found < expected else 'too many'}"
        if found != expected
        else ""
    )
    return change or f"the same number of rows, but other values in {wrong_parts} of {PARTS} parts", unknown


def _lines(things: Iterable[tuple[str, str, str]], what: str) -> Iterator[str]:
    for kind, name, _ in sorted(things):
        yield f"{kind} {name}: {what}"


def _same(thing: tuple[str, str, str], others: Iterable[tuple[str, str, str]]) -> bool:
    return any(thing[:2] == other[:2] for other in others)
