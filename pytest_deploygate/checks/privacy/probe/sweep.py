"""Search for a synthetic person everywhere: every column of every table, log files, Redis.

A table is searched by its rows' text, which includes JSON, arrays and composites; partitions and chunks
are searched with their parent. Tables whose columns are all numbers, times, booleans or enums cannot hold text and
are counted, not read. Nothing is written; each table is read by a statement of its own with its own time limit.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import sql

from pytest_deploygate.checks.privacy.facts import Hit, Sweep
from pytest_deploygate.checks.privacy.probe.operations import Subject
from pytest_deploygate.checks.privacy.probe.redis_sweep import keys_with
from pytest_deploygate.checks.privacy.probe.writings import DISGUISE, PLAIN, disguised
from pytest_deploygate.checks.privacy.section import Erasure, LogFile
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.names import another_case
from pytest_deploygate.fields.names import matches, parts, plain, written
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

#: The gate's own tables, which hold nothing of a person but a token.
GATE_TABLES = ("deploygate_replication", "deploygate_subjects")
_CATCH_UP_S = 10.0


# Partitions, inheritance children without columns of their own and Timescale's chunks are read through their parent. A
# materialized view that was never filled has no row, and reading it is an error.
_TABLES = """
SELECT n.nspname, c.relname, c.relpersistence::text, row_security_active(c.oid),
    has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'),
    EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0
        AND NOT a.attisdropped AND t.typcategory NOT IN ('N', 'D', 'B', 'T', 'G', 'I', 'E', 'V'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind IN ('r', 'm', 'p', 'f') OR (c.relkind = 'v' AND n.nspname || '.' || c.relname = ANY(%(views)s)))
    AND c.relispopulated
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_'
    AND (NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
        OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attislocal AND a.attinhcount = 0
            AND NOT a.attisdropped AND NOT c.relispartition))
    AND NOT (n.nspname = %(own)s AND c.relname = ANY(%(gate)s))
ORDER BY 1, 2
"""
# Base64 has line ends within it as mail and encode() write it. LIKE is many times quicker here than a regular expression.
_HITS = """
SELECT coalesce(cell.key, '?'), count(*)
FROM {table} AS t LEFT JOIN LATERAL jsonb_each_text(to_jsonb(t.*)) AS cell
  ON replace(replace(lower(cell.value), chr(13), ''), chr(10), '') LIKE ANY (ARRAY({patterns}))
WHERE replace(replace(lower((t.*)::text), chr(13), ''), chr(10), '') LIKE ANY (ARRAY({patterns})) GROUP BY 1 ORDER BY 1
"""
# As a subquery, so that no plan in a log has the patterns themselves: a constant would be computed while planning.
_PATTERNS = "SELECT translate(pattern, {disguise}, {plain}) FROM unnest({patterns}::text[]) AS pattern"
# Read on a primary: a WAL position that every replica will reach. pg_current_wal_lsn() may lie within a record of an
# open transaction, which no replica replays before more WAL is flushed; this statement takes a transaction id whose
# commit record follows the position, so both are sent.
_REACHABLE = "SELECT pg_current_wal_insert_lsn()::text FROM pg_current_xact_id()"
# TimescaleDB's continuous aggregates are views that the sweep always reads.
_AGGREGATES_THERE = "SELECT to_regclass('timescaledb_information.continuous_aggregates') IS NOT NULL"
_AGGREGATES = "SELECT view_schema || '.' || view_name FROM timescaledb_information.continuous_aggregates"
_OTHER_DATABASES = """
SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> current_database() ORDER BY 1
"""
_REPLAYED = "SELECT coalesce(pg_last_wal_replay_lsn() >= %s::pg_lsn, true)"


def sweep(cluster: Cluster, erasure: Erasure, subject: Subject, spending: Spending | None = None) -> Sweep:
    """Search everywhere, on a replica that has caught up if there is one. Raises CannotTell without a table list.

    `spending` counts each table, cache and log.
    """
    count = spending.take if spending is not None else _uncounted
    node = _caught_up(cluster)
    needles = subject.needles()
    views = [plain(view) for view in erasure.views]
    found_tables = tables(cluster, node, [*views, *_aggregates(cluster, node)])
    named = {written(*row[:2]) for row in found_tables}
    hits: list[Hit] = []
    unread = [
        f"{view}: there is no such view{_near(cluster, node, view)}"
        for view in erasure.views
        if view not in named
    ]
    skipped, read, textless = [], 0, 0
    for schema, name, persistence, filtered, readable, text in found_tables:
        table = written(schema, name)
        if any(matches(table, entry.where) for entry in erasure.skip):
            skipped.append(table)
        elif not text:
            textless += 1
        elif not readable:
            unread.append(f"{table}: not readable: GRANT pg_read_all_data TO the gate's role")
        elif filtered:
            unread.append(
                f"{table}: row security hides rows from us: ALTER ROLE … BYPASSRLS for the gate's role"
            )
        else:
            # Unlogged tables are not on replicas.
            at = cluster.primary if persistence == "u" else node
            count(opens=0)
            try:
                found = _in_table(cluster, at, (schema, name), needles)
            except CannotTell as unknown:
                unread.append(f"{table}: {unknown}")
                continue
            read += 1
            hits += [Hit(f"{table}.{written(column)}", rows) for column, rows in found]
    count(requests=len(erasure.redis) + len(erasure.logs), opens=0)
    for seen in _elsewhere(erasure, subject):
        if isinstance(seen, Hit):
            hits.append(seen)
        else:
            unread.append(seen)
    others = tuple(str(row[0]) for row in cluster.rows(node, _OTHER_DATABASES))
    large = int(cluster.value(node, "SELECT count(*) FROM pg_largeobject_metadata") or 0)
    return Sweep(node.name, tuple(hits), read, textless, tuple(skipped), tuple(unread), others, large)


def _uncounted(**_: int) -> None:
    """Count nothing: the sweep draws on no budget."""


def _near(cluster: Cluster, node: Node, view: str) -> str:
    return another_case(lambda *asked: cluster.rows(node, *asked), view)


def _aggregates(cluster: Cluster, node: Node) -> list[str]:
    if not cluster.value(node, _AGGREGATES_THERE):
        return []
    return [str(row[0]) for row in cluster.rows(node, _AGGREGATES)]


def tables(cluster: Cluster, node: Node, views: Sequence[str]) -> list[tuple[Any, ...]]:
    """List what a sweep searches: schema, name, persistence, rows filtered, readable, may hold text. Raises CannotTell."""
    gate = {"own": cluster.writes_schema or "", "gate": list(GATE_TABLES)}
    return cluster.rows(node, _TABLES, {"views": list(views), **gate})


def look_again(cluster: Cluster, erasure: Erasure, places: Sequence[str], subject: Subject) -> bool:
    """Tell whether the person is still in some columns (schema.table.column) on the primary, or in Redis."""
    if any(keys_with(cache, subject.needles()) for cache in erasure.redis if f"redis {cache.name}" in places):
        return True
    tables = {parts(place)[:2] for place in places if not place.startswith(("redis ", "log "))}
    return any(_in_table(cluster, cluster.primary, table, subject.needles()) for table in sorted(tables))


def _in_table(
    cluster: Cluster, node: Node, table: Sequence[str], needles: Sequence[str]
) -> list[tuple[Any, ...]]:
    # The needles are letters, digits and the signs of base64: nothing that LIKE reads as a wildcard.
    patterns = sql.SQL(_PATTERNS).format(
        disguise=DISGUISE, plain=PLAIN, patterns=[disguised(f"%{needle}%") for needle in needles]
    )
    query = sql.SQL(_HITS).format(table=sql.Identifier(*table), patterns=patterns)
    return cluster.rows(node, query)


def _caught_up(cluster: Cluster) -> Node:
    """Return a replica that has replayed what the primary has written until now, else the primary."""
    node = next((n for n in cluster.replicas if not n.delayed), None)
    if node is None:
        return cluster.primary
    position = cluster.value(cluster.primary, _REACHABLE)
    deadline = time.monotonic() + _CATCH_UP_S
    while not cluster.value(node, _REPLAYED, (position,)):
        if time.monotonic() > deadline:
            raise CannotTell(
                f"{node.name} did not replay the primary's position within {_CATCH_UP_S:.0f} s, so a sweep on it is "
                "inconclusive: check its replication first"
            )
        time.sleep(0.05)
    return node


def _elsewhere(erasure: Erasure, subject: Subject) -> Iterator[Hit | str]:
    """Search Redis servers and log files: yield where the person is or, as text, what could not be searched."""
    for cache in erasure.redis:
        place = f"redis {cache.name}"
        try:
            if keys := keys_with(cache, subject.needles()):
                yield Hit(place, len(keys), f"key {keys[0]}")
        except CannotTell as unknown:
            yield f"{place}: {unknown}"
    for log in erasure.logs:
        place = f"log {log.name}"
        try:
            if files := _in_log(log, subject):
                yield Hit(place, sum(files.values()), next(iter(files)))
        except CannotTell as unknown:
            yield f"{place}: {unknown}"


# All files below a folder, or a file with those that were rotated away from it. Compressed ones are unpacked. One line per
# file: its number of lines with the person, its name; or what cannot be read.
_LOG = """
export LC_ALL=C
bare() {{ printf %s "$1" | tr '<disguise>' '<plain>'; }}
path={} pattern=$(bare {}) plain=$(bare {})
if printf x | grep -qP x 2>/dev/null; then how=-P; else how=-E pattern=$plain; fi
if [ -d "$path" ]; then list="$path"; else [ -e "$path" ] || { echo "$path: No such file" >&2; exit 2; }; list=$(dirname "$path"); fi
name=$(basename "$path")
find -L "$list" -type f 2>&1 | while IFS= read -r file; do
  if [ ! -d "$path" ]; then
    case "$file" in "$list/$name"|"$list/$name".*|"$list/$name"-*) ;; *) continue;; esac
  fi
  case "$file" in
    *.gz) unpack="gzip -dc";; *.bz2) unpack="bzip2 -dc";; *.xz) unpack="xz -dc";; *.zst) unpack="zstd -dcq";; *) unpack=cat;;
  esac
  command -v ${{unpack%% *}} >/dev/null || { echo "?:$file needs ${{unpack%% *}}"; continue; }
  [ -r "$file" ] || { echo "?:$file: Permission denied"; continue; }
  echo "$($unpack "$file" | grep -a -i -c $how -e "$pattern"):$file"
done
"""


def _in_log(log: LogFile, subject: Subject) -> dict[str, int]:
    """Return how many lines of each file hold the person. Raises CannotTell."""
    needles = subject.needles()
    plain = "|".join(map(re.escape, needles))
    # UTF-16 has a NUL byte beside each letter.
    wide = "|".join(r"\x00".join(core) for core in needles if core.isalnum() and len(core) <= 16)
    script = _LOG.replace("{{", "{").replace("}}", "}")
    script = script.replace("<disguise>", DISGUISE).replace("<plain>", PLAIN)
    for value in (str(log.path), disguised(f"{plain}|{wide}"), disguised(plain)):
        script = script.replace("{}", shlex.quote(value), 1)
    code, text, errors = shell(log.host)(f"timeout 60 sh -c {shlex.quote(script)}")
    lines = [line.partition(":") for line in text.splitlines()]
    unread = [rest for count, _, rest in lines if not count.isdigit()]
    if code or errors or unread or not lines:
        why = (
            errors
            or "; ".join(unread[:3])
            or (f"the search ended with {code}" if code else "there is no file")
        )
        raise CannotTell(f"{log.path} on {log.host} cannot be searched: {why}")
    return {file: int(count) for count, _, file in lines if int(count)}
