"""The restore drill for dumps: loaded into a new server, and compared as far as a dump can be.

A dump shows the moment at which it began. Tables that have not changed since must be equal. A table that differs may
have been written since, so it is compared up to that moment if the inventory's `partitioning` names its time column;
otherwise it is left out, and named.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from pytest_deploygate.checks.backups.facts import BackupSet
from pytest_deploygate.checks.backups.probe import contents
from pytest_deploygate.checks.backups.probe.contents import Contents, Table
from pytest_deploygate.checks.backups.probe.scratch import Instance, Programs
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.drills.record import GOOD
from pytest_deploygate.model import CannotTell

#: Rows this close to the dump's beginning may have been committed after it.
_SLACK = timedelta(minutes=5)
_SETTINGS = {
    "listen_addresses": "", "port": "5432", "unix_socket_permissions": "0700", "archive_mode": "off",
    "wal_level": "minimal", "max_wal_senders": "0", "timezone": "UTC", "cluster_name": "deploygate restore drill",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome of the drill, and the facts that it found."""

    outcome: str
    reason: str
    facts: Mapping[str, Any]


def restore(
    instance: Instance,
    programs: Programs,
    place: Place,
    backups: Backups,
    newest: BackupSet,
    roles: list[str],
    database: str,
) -> tuple[str, float]:
    """Create a server in `instance` and load the dump; return what went wrong (empty: nothing) and the seconds it took."""
    began = time.monotonic()
    done = backups.tool.restore(newest, instance.data, place)
    if not done.code:
        init = "rmdir {} && {} -D {} -U postgres -A trust -E UTF8 --locale=C -N --no-instructions"
        done = place.run(init, instance.data, f"{programs.folder}/initdb", instance.data, timeout_s=120)
    if done.code:
        raise CannotTell(f"no server for the dump could be created on {place.name}: {done.said}")
    own = {"unix_socket_directories": instance.sockets, "data_directory": instance.data}
    own |= {"hba_file": f"{instance.root}/hba.conf", "ident_file": f"{instance.root}/ident.conf"}
    if instance.start(programs, _SETTINGS | own, recover=False).code:
        raise CannotTell(f"the server for the dump does not start: {instance.log()}")
    up = instance.wait_paused(programs, "postgres", "postgres", "SELECT 'paused'", 60)
    if up.code:
        raise CannotTell(f"the server for the dump does not start: {instance.log()}")
    made = "\n".join(
        sql.SQL("CREATE ROLE {};").format(sql.Identifier(r)).as_string() for r in roles if r != "postgres"
    )
    name = sql.Identifier(database).as_string()
    instance.psql(programs, "postgres", "postgres", made, 60)
    if database != "postgres":
        instance.psql(programs, "postgres", "postgres", f"CREATE DATABASE {name}", 60)
    load = "{} -h {} -p 5432 -U postgres -d {} -j 2 --exit-on-error {}"
    done = place.run(
        load,
        f"{programs.folder}/pg_restore",
        instance.sockets,
        database,
        f"{instance.data}.dump",
        timeout_s=24 * 3600,
    )
    return (done.said if done.code else ""), time.monotonic() - began


def drill(
    cluster: Cluster,
    backups: Backups,
    newest: BackupSet,
    instance: Instance,
    programs: Programs,
    place: Place,
) -> Told:
    """Restore and compare; return what the record contains of it. Raises CannotTell."""
    database = cluster.settings.name
    roles = [
        row[0]
        for row in cluster.rows(cluster.primary, "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'")
    ]
    with own_lag.watching() as sampled:
        problem, took = restore(instance, programs, place, backups, newest, roles, database)
        lag = sampled.since()
    age_s = (datetime.now(UTC) - newest.started).total_seconds()
    found: dict[str, Any] = {"copied_s": round(took, 3), "rpo_s": round(age_s, 3)}
    if problem:
        return Told("restore", f"pg_restore could not load {newest.label}: {problem}", found)
    whole_bytes = backups.criteria.scratch.table_size if backups.criteria.scratch else 0
    try:
        with contextlib.closing(cluster.connect(cluster.primary)) as connection:
            connection.execute(contents.SETTINGS.encode())
            chosen = contents.choose(connection, cluster.writes_schema or "", whole_bytes)
            tables = tuple(t for t in chosen.tables if t.blocks is None and t.schema != cluster.writes_schema)
            large = [
                f"{t.label} (larger than `scratch.table_size`)" for t in chosen.tables if t.blocks is not None
            ]
            closed = {t: (column, newest.started - _SLACK) for t, column in backups.time_columns.items()}
            now = contents.read(connection, tables)
            script = contents.script(connection, tables)
            told = instance.psql(programs, "postgres", database, script, 3600)
            if told.code:
                return Told("contents", f"the loaded dump cannot be read: {told.said}", found)
            there = contents.parse(told.output)
            suspects = [t for t in tables if there.tables.get(t.label) != now.tables.get(t.label)]
            wrong, unknown = _closely(connection, instance, programs, database, suspects, closed, there)
    except psycopg.Error as error:
        raise CannotTell(f"the source cannot be read: {explain(cluster.primary, error)}") from error
    compared = len(tables) - len(unknown)
    rows = sum(n for t in tables if t.label not in unknown for n, _ in there.tables.get(t.label, {}).values())
    found |= {
        "rto_s": round(took, 3), "lag": lag, "marker_found": None, "tables": compared, "rows": rows, "differs": tuple(wrong),
        "left": (*chosen.left_out, *large, *(f"{u} (written since the dump, or different from it)" for u in unknown)),
    }  # fmt: skip
    return Told("contents" if wrong else GOOD, "; ".join(wrong[:4]), found)


def _closely(
    connection: psycopg.Connection[tuple[object, ...]], instance: Instance, programs: Programs, database: str,
    suspects: list[Table], closed: Mapping[str, tuple[str, datetime]], there: Contents,
) -> tuple[list[str], list[str]]:  # fmt: skip
    """Compare tables that differ up to the dump's moment; return what is wrong, and what cannot be compared."""
    wrong, unknown = [], []
    for table in suspects:
        if table.label not in there.tables:
            wrong.append(f"{table.label} is not in the dump")
            continue
        column, until = closed.get(table.label, ("", datetime.min.replace(tzinfo=UTC)))
        if not column:
            unknown.append(table.label)
            continue
        query = sql.SQL(
            "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {} t WHERE {} < {}"
        ).format(
            sql.Identifier(table.schema, table.name), sql.Identifier(column), sql.Literal(until.isoformat())
        )
        mine = connection.execute(query).fetchone() or (0, "0")
        text = contents.SETTINGS + query.as_string(connection)
        told = instance.psql(programs, "postgres", database, text, 3600).output.strip().split("\t")
        if [str(mine[0]), mine[1]] != told:
            wrong.append(
                f"{table.label}: {mine[0]} rows before {until:%Y-%m-%d %H:%M} UTC in the source, {told[0]} in the dump"
            )
    return wrong, unknown
