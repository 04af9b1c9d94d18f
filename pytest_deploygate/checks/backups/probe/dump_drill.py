"""The restore drill for dumps: loaded into a new server, and compared as far as a dump can be (`dump_contents`).

Tables that have not changed since the dump must be equal. A table that was written since is compared up to the dump's
moment if the inventory's `partitioning` names its time column, or that of a table above it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from pytest_deploygate.checks.backups.facts import BackupSet
from pytest_deploygate.checks.backups.probe import contents, dump_contents, dump_listing
from pytest_deploygate.checks.backups.probe.contents import Table
from pytest_deploygate.checks.backups.probe.dump_contents import Findings, Origin
from pytest_deploygate.checks.backups.probe.dump_listing import Listing, is_script
from pytest_deploygate.checks.backups.probe.dump_objects import OBJECTS
from pytest_deploygate.checks.backups.probe.scratch import Instance, Programs
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.drills.record import GOOD
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: Rows this close to the dump's beginning may have been committed after it. A plain SQL dump need not say when it began.
_SLACK, _SLACK_OF_SCRIPT = timedelta(minutes=5), timedelta(days=1)
#: A reason names this many differences.
_MOST = 4
_OTHERS = """
SELECT string_agg(datname, ', ' ORDER BY 1) FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname NOT IN (current_database(), 'postgres')
"""
_HAS_SETTINGS = """
SELECT EXISTS (SELECT FROM pg_db_role_setting
WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))
"""
_SETTINGS = {
    "listen_addresses": "", "port": "5432", "unix_socket_permissions": "0700", "archive_mode": "off",
    "wal_level": "minimal", "max_wal_senders": "0", "timezone": "UTC", "cluster_name": "deploygate restore drill",
}  # fmt: skip


@dataclass(frozen=True)
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
    loaded = f"{instance.data}.dump"
    if is_script(newest.label):
        load = "{} {} | {} -X -q -v ON_ERROR_STOP=1 -h {} -p 5432 -U postgres -d {} -f - >/dev/null"
        unpack = "zcat" if newest.label.endswith(".gz") else "cat"
        told: tuple[str, ...] = (unpack, loaded, f"{programs.folder}/psql", instance.sockets, database)
    else:
        # pg_restore loads a tar file with one process only.
        jobs = "" if newest.label.endswith(".tar") else "-j 2 "
        load = f"{{}} -h {{}} -p 5432 -U postgres -d {{}} {jobs}--exit-on-error {{}}"
        told = (f"{programs.folder}/pg_restore", instance.sockets, database, loaded)
    done = place.run(load, *told, timeout_s=24 * 3600)
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
        return Told(
            "restore",
            f"{'psql' if is_script(newest.label) else 'pg_restore'} could not load {newest.label}: {problem}",
            found,
        )
    try:
        with contextlib.closing(cluster.connect(cluster.primary)) as connection:
            connection.execute(contents.SETTINGS.encode())
            comparing = _Comparing(cluster, backups, newest, instance, programs, place)
            return comparing.told(connection, found | {"rto_s": round(took, 3), "lag": lag})
    except psycopg.Error as error:
        raise CannotTell(f"the source cannot be read: {explain(cluster.primary, error)}") from error


@dataclass(frozen=True)
class _Comparing:
    """The comparison of one loaded dump with its source."""

    cluster: Cluster
    backups: Backups
    newest: BackupSet
    instance: Instance
    programs: Programs
    place: Place

    def told(self, connection: Connection, found: dict[str, Any]) -> Told:
        """Compare objects, rows and closed time ranges. Raises CannotTell and psycopg's errors of the source."""
        own = self.cluster.settings.name
        if self.newest.database and self.newest.database != own:
            said = f"{self.newest.label} is a dump of the database {self.newest.database}, not of {own}"
            return Told("contents", said, found)
        listed = dump_listing.read(
            self.place, f"{self.programs.folder}/pg_restore", f"{self.instance.data}.dump", self.newest.label
        )
        scratch_bytes = self.backups.criteria.scratch.table_size if self.backups.criteria.scratch else 0
        schema = self.cluster.writes_schema or ""
        chosen = contents.choose(connection, schema, scratch_bytes)
        mine = [t for t in chosen.tables if t.schema != schema]
        large = [t for t in mine if t.blocks is not None]
        known, objects = (
            dump_contents.origins(connection),
            connection.execute(OBJECTS.encode()).fetchall(),
        )
        copied = dump_contents.parse_objects(self._ask(dump_contents.objects_script()))
        there = dump_contents.readable(copied)
        whole = tuple(t for t in mine if t.blocks is None)
        now = contents.read(connection, whole)
        copy = contents.parse(self._ask(contents.script(connection, [t for t in whole if t.label in there])))
        rows, suspects = dump_contents.tables(whole, now.tables, copy.tables, known, listed)
        for table in (*suspects, *large):
            self._closely(connection, table, known, listed, rows)
        catalog, count = dump_contents.objects(objects, copied, listed, schema, {t.label for t in whole})
        wrong = [*rows.wrong, *catalog.wrong]
        others = self.cluster.value(self.cluster.primary, _OTHERS)
        own_settings = self.cluster.value(self.cluster.primary, _HAS_SETTINGS)
        left = [
            *chosen.left_out,
            *rows.left,
            *([f"other databases: {others}"] if others else []),
            *(["settings by ALTER DATABASE and ALTER ROLE"] if own_settings else []),
            "roles and their passwords",
        ]
        found |= {
            "marker_found": None, "tables": len(rows.equal), "catalog_lines": count,
            "rows": sum(n for label in rows.equal for n, _ in copy.tables.get(label, {}).values()),
            "differs": tuple(rows.wrong), "catalog_differs": tuple(catalog.wrong),
            "left": tuple(left), "uncompared": (*rows.unknown, *catalog.unknown),
        }  # fmt: skip
        more = f" and {len(wrong) - _MOST} more" if len(wrong) > _MOST else ""
        return Told("contents" if wrong else GOOD, "; ".join(wrong[:_MOST]) + more, found)

    def _ask(self, text: str) -> str:
        """Run statements in the copy and return its rows. Raises CannotTell."""
        script = f"{contents.SETTINGS}\n{text}"
        done = self.instance.psql(self.programs, "postgres", self.cluster.settings.name, script, 3600)
        if done.code:
            raise CannotTell(f"the loaded dump cannot be read: {done.said}")
        return done.output

    def _closely(
        self,
        connection: Connection,
        table: Table,
        known: Mapping[str, Origin],
        listed: Listing,
        found: Findings,
    ) -> None:
        """Compare a table that differs, or is large, up to the dump's moment."""
        label, origin = table.label, known.get(table.label)
        large = table.blocks is not None
        if origin and large and not listed.has_rows_of(table.schema, table.name, origin.oid):
            found.wrong.append(f"{label}: the dump was made without its rows")
            return
        columns = self.backups.time_columns
        column = next(
            (columns[each] for each in (label, *(origin.above if origin else ())) if each in columns), ""
        )
        if large or not column:
            why = (
                "larger than `scratch.table_size`"
                if large
                else "written since the dump, or different from it; `partitioning` can name its time column"
            )
            found.unknown.append(f"{label} ({why})")
            return
        slack = _SLACK_OF_SCRIPT if is_script(self.newest.label) else _SLACK
        until = self.newest.started - slack
        query = dump_contents.range_query(table, column, until)
        row = connection.execute(query).fetchone()
        here, there = (
            dump_contents.parts(text)
            for text in (row[0] if row else "[]", self._ask(query.as_string(connection)))
        )
        dump_contents.closed_range(found, label, until, here, there)
