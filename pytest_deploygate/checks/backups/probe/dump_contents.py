"""A loaded dump, compared with its source as far as a dump can be.

A dump shows the moment at which it began, and the source was written since. So a difference alone proves nothing, and
these do: a table whose rows pg_dump was told to leave out (the dump's own table of contents has no data entry for it), an
object that is older than the newest one in the dump (by its oid) and is not in it, rows of a closed time range that the
copy lacks. Everything else that differs could not be compared, and is named as that.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from datetime import datetime

from psycopg import sql

from pytest_deploygate.checks.backups.probe import contents
from pytest_deploygate.checks.backups.probe.contents import Parts, Table
from pytest_deploygate.checks.backups.probe.dump_listing import Listing
from pytest_deploygate.checks.backups.probe.dump_objects import OBJECTS
from pytest_deploygate.clients.postgres.cluster import Connection
from pytest_deploygate.lazy import dataclass

#: By table: its ancestors (partitioned tables and INHERITS parents), and whether it belongs to an extension.
_ANCESTORS = """
WITH RECURSIVE up AS (SELECT inhrelid AS oid, inhparent AS parent FROM pg_inherits
    UNION SELECT up.oid, i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.parent)
SELECT n.nspname || '.' || c.relname, c.oid::bigint, c.relkind,
    EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),
    ARRAY(SELECT m.nspname || '.' || p.relname FROM up JOIN pg_class p ON p.oid = up.parent
          JOIN pg_namespace m ON m.oid = p.relnamespace WHERE up.oid = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""

#: Kind, name, definition, oid.
Object = tuple[str, str, str, int]


@dataclass(frozen=True)
class Origin:
    """What the source knows of a table: its oid, kind, whether an extension owns it, and the tables above it."""

    oid: int
    kind: str
    of_extension: bool
    above: tuple[str, ...]


@dataclass()
class Findings:
    """What is wrong with the copy, what could not be compared, and what need not be."""

    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)


def origins(connection: Connection) -> dict[str, Origin]:
    """Return what the source knows of each table, by schema.name."""
    rows = connection.execute(_ANCESTORS.encode()).fetchall()
    return {label: Origin(oid, kind, own, tuple(above)) for label, oid, kind, own, above in rows}


def readable(copy: Iterable[Object]) -> set[str]:
    """Return the tables of the copy, and its materialized views that have contents, as schema.name. Pure."""
    return {name for kind, name, *_ in copy if kind in ("table", "contents of")}


def tables(
    chosen: tuple[Table, ...], source: Mapping[str, Parts], copy: Mapping[str, Parts], known: Mapping[str, Origin],
    dump: Listing,
) -> tuple[Findings, list[Table]]:  # fmt: skip
    """Compare tables by their digests; return also those that differ and need a closer look. Pure."""
    found, suspects = Findings(), []
    for table in chosen:
        label, origin = table.label, known.get(table.label)
        here, there = source.get(label, {}), copy.get(label)
        rows = sum(n for n, _ in here.values())
        if origin is None:
            found.unknown.append(f"{label} (made during the comparison)")
        elif there is None and origin.kind != "m":
            _absent(found, f"table {label} ({rows} rows)", origin.oid, dump)
        elif here == there:
            found.equal.append(label)
        elif origin.kind == "m":
            # Whether it has contents at all is among the objects.
            found.left.append(f"{label} (a materialized view is computed again when it is loaded)")
        elif origin.of_extension:
            found.left.append(f"{label} (filled by its extension)")
        elif not dump.has_rows_of(table.schema, table.name, origin.oid):
            found.wrong.append(
                f"{label}: the dump was made without its rows (--exclude-table-data, --schema-only or --section), the "
                f"source has {rows}"
            )
        else:
            suspects.append(table)
    return found, suspects


def _absent(found: Findings, what: str, oid: int, dump: Listing) -> None:
    if dump.newest is not None and oid <= dump.newest:
        found.wrong.append(f"{what} is not in the dump, and is older than what is")
    else:
        found.unknown.append(f"{what} (not in the dump: made since, or left out)")


def range_query(table: Table, column: str, until: datetime) -> sql.Composed:
    """Return the query for the parts of a table's rows before `until`, as JSON."""
    return sql.SQL(
        "SELECT coalesce(json_agg(json_build_array(part, n, total)), '[]')::text FROM (SELECT part, count(*) AS n,"
        " sum(h)::text AS total FROM (SELECT h, h & {last} AS part FROM (SELECT hashtextextended({row}, 0) AS h"
        " FROM ONLY {table} t WHERE t.{column} < {until} OFFSET 0) r) p GROUP BY part) g"
    ).format(
        last=sql.Literal(contents.PARTS - 1),
        row=sql.SQL(contents.ROW),
        table=sql.Identifier(table.schema, table.name),
        column=sql.Identifier(column),
        until=sql.Literal(until.isoformat()),
    )


def objects_script() -> str:
    """Return the query for the objects of the copy, one JSON array per line: names may contain tabs and line ends."""
    return f"SELECT json_build_array(kind, name, definition, number) FROM ({OBJECTS}) o;"  # noqa: S608 (ours)


def parse_objects(output: str) -> list[Object]:
    """Parse the answer to `objects_script`. Pure."""
    return [
        (kind, name, definition, int(oid))
        for kind, name, definition, oid in map(json.loads, output.splitlines())
    ]


def parts(text: str) -> Parts:
    """Parse the answer to `range_query`. Pure."""
    return {int(part): (int(rows), str(total)) for part, rows, total in json.loads(text)}


def closed_range(found: Findings, label: str, until: datetime, here: Parts, there: Parts) -> None:
    """Judge the rows of a closed time range. Rows that only the source has were lost; others may have been deleted since."""
    none = (0, "0")
    when = f"before {until:%Y-%m-%d %H:%M} UTC"
    rows, copied = (sum(n for n, _ in each.values()) for each in (here, there))
    if here == there:
        found.equal.append(label)
        return
    lost = sum(max(0, here.get(p, none)[0] - there.get(p, none)[0]) for p in range(contents.PARTS))
    if lost:
        found.wrong.append(
            f"{label}: {rows} rows {when} in the source, {copied} in the dump; at least {lost} are lost"
        )
    elif copied > rows:
        found.unknown.append(
            f"{label} ({copied - rows} rows {when} are in the dump only: deleted since, or damaged)"
        )
    else:
        found.wrong.append(f"{label}: {rows} rows {when} in both, with other values in the dump")


def objects(
    source: Iterable[Object], copy: Iterable[Object], dump: Listing, skip: str, told: Collection[str]
) -> tuple[Findings, int]:
    """Compare the catalogs without the schema `skip`; return also how many objects there are. Pure.

    `told` are tables that are named as missing already; the columns of a missing table say nothing more.
    """
    found, there = Findings(), {(kind, name): definition for kind, name, definition, _ in copy}
    count = 0
    for kind, name, definition, oid in source:
        if skip and (name == skip or name.startswith(f"{skip}.")):
            continue
        count += 1
        mine = there.get((kind, name))
        if mine is None:
            if kind != "columns of" and not (kind == "table" and name in told):
                _absent(found, f"{kind} {name}", oid, dump)
        elif mine != definition:
            found.unknown.append(f"{kind} {name} (changed since the dump, or different in it)")
    return found, count
