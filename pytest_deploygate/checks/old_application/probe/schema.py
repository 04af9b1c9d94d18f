"""One schema, as the old application would see it: its statements are prepared there and never executed.

Each is prepared in a read-only transaction of its own, which is rolled back, by the protocol's Parse message: that takes a
single statement. The server resolves names and types and rewrites views. EXPLAIN of it plans it, too, which finds a missing
unique constraint of ON CONFLICT. The locks that the transaction then holds name the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import pq, sql

from pytest_deploygate.checks.old_application.facts import Column, Prepared
from pytest_deploygate.checks.old_application.probe.texts import readable
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.clients.postgres.cutting import cutting
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_NAME = "deploygate_statement"
#: Types with these numbers are the same in every database.
_FIRST_OWN_OID = 16384
_UNKNOWN = 705
#: Planning may fail where executing the statement is not allowed to us, and for reasons of its parameters.
_OF_PLANNING = ("42P10",)
_SEARCH_PATH = """SELECT split_part(c, '=', 2) FROM pg_db_role_setting s
    LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c
    WHERE split_part(c, '=', 1) = 'search_path' AND coalesce(r.rolname, %(role)s) = %(role)s
    AND coalesce(d.datname, current_database()) = current_database()
    ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1"""
_OWN_PATH = """SELECT EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) c JOIN pg_roles r ON true
    WHERE r.oid = s.setrole AND r.rolname = current_user AND split_part(c, '=', 1) = 'search_path')"""
_LOCKED = """SELECT format('%I.%I', n.nspname, c.relname), l.relation, l.mode, c.relkind FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')"""
_COLUMNS = """SELECT a.attname, format_type(a.atttypid, a.atttypmod),
    (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull))
        AND NOT (a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' OR (t.typtype = 'd' AND t.typdefault IS NOT NULL)),
    a.attgenerated <> ''
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
#: Schemas of the search_path that are there and not for us.
_UNUSABLE = """SELECT string_agg(nspname, ', ') FROM pg_namespace WHERE NOT has_schema_privilege(oid, 'USAGE')
    AND nspname = ANY(SELECT btrim(btrim(part), '"') FROM regexp_split_to_table(current_setting('search_path'), ',') part)"""
#: Bits of tgtype: for each row 1, before 2, insert 4.
_FILLED_IN = """SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = %s AND NOT tgisinternal AND tgenabled <> 'D'
    AND tgtype & 7 = 7)"""


@dataclass(frozen=True)
class Relation:
    """A table that the server resolved: its name with schema, and its number there."""

    name: str
    oid: int


@dataclass(frozen=True)
class Tried:
    """A statement that was prepared, and the tables that it reads and writes, those behind views included."""

    prepared: Prepared
    parameter_types: tuple[int, ...] = ()
    reads: tuple[Relation, ...] = ()
    writes: tuple[Relation, ...] = ()
    has_view: bool = False


class Schema:
    """A connection on which statements are prepared."""

    def __init__(self, cluster: Cluster, connection: Connection) -> None:
        self._node = cluster.primary
        self._connection = connection

    def prepare(self, text: str, parameter_types: Sequence[int] = ()) -> Tried:
        """Prepare a statement. Raises CannotTell if the server does not answer."""
        connection, wire = self._connection, self._connection.pgconn
        try:
            with cutting(connection):
                connection.execute("BEGIN TRANSACTION READ ONLY")
                try:
                    done = wire.prepare(
                        _NAME.encode(), readable(text).encode(), list(parameter_types) or None
                    )
                    if done.status != pq.ExecStatus.COMMAND_OK:
                        return Tried(self._failed(done))
                    told = wire.describe_prepared(_NAME.encode())
                    types = tuple(told.param_type(n) for n in range(told.nparams))
                    results = [((told.fname(n) or b"").decode(), told.ftype(n)) for n in range(told.nfields)]
                    names = self._types([*types, *(oid for _, oid in results)])
                    prepared = Prepared(
                        parameters=tuple(names.get(oid, "?") for oid in types),
                        results=tuple((name, names.get(oid, "?")) for name, oid in results),
                    )
                    locked = connection.execute(_LOCKED.encode()).fetchall()
                    if said := self._planned(len(types)):
                        prepared = said
                    return Tried(prepared, types, *_by_mode(locked))
                finally:
                    connection.execute("ROLLBACK")
                    if any(connection.execute("SELECT 1 FROM pg_prepared_statements").fetchall()):
                        connection.execute("DEALLOCATE ALL")
        except psycopg.Error as error:
            raise CannotTell(explain(self._node, error)) from error

    def _planned(self, parameters: int) -> Prepared | None:
        """Plan it with nulls. Return an error that executing it would have as well."""
        nulls = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
        done = self._connection.pgconn.exec_(f"EXPLAIN EXECUTE {_NAME}{nulls}".encode())
        if done.status == pq.ExecStatus.TUPLES_OK:
            return None
        failed = self._failed(done)
        return failed if failed.code in _OF_PLANNING else None

    def _failed(self, done: pq.abc.PGresult) -> Prepared:
        code = (done.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        said = (done.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"no message").decode(
            errors="replace"
        )
        if not code or code[:2] in ("08", "53", "57", "58", "XX") or code == "55P03":
            raise CannotTell(f"{self._node.name}: a statement could not be prepared: {redact(said)}")
        return Prepared(code, redact(said))

    def _types(self, oids: Sequence[int]) -> dict[int, str]:
        rows = self._connection.execute(
            "SELECT o, format_type(o, NULL) FROM unnest(%s::oid[]) AS o", (list(dict.fromkeys(oids)),)
        ).fetchall()
        return {int(oid): str(name) for oid, name in rows}

    def table(self, name: str) -> Relation | None:
        """Resolve a name as the application writes it; None if there is no such table. Raises CannotTell."""
        found = self._ask(
            "SELECT c.oid, format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)",
            name,
        )
        return Relation(str(found[0][1]), int(found[0][0])) if found else None

    def columns(self, table: Relation) -> tuple[Column, ...]:
        """Return the columns of a table."""
        return tuple(Column(*row) for row in self._ask(_COLUMNS, table.oid))

    def filled_in(self, table: Relation) -> bool:
        """Tell whether a trigger may set columns of a row before it is inserted."""
        return bool(self._ask(_FILLED_IN, table.oid)[0][0])

    def may(self, role: str, table: Relation, privilege: str) -> bool:
        """Tell whether a role has a privilege on a table, or on one of its columns."""
        how = "has_table_privilege" if privilege == "DELETE" else "has_any_column_privilege"
        query = f"SELECT {how}(%s, %s::oid, '{privilege}')"
        return bool(self._ask(query, role, table.oid)[0][0])

    def has_role(self, role: str) -> bool:
        """Tell whether there is such a role."""
        return bool(self._ask("SELECT count(*) FROM pg_roles WHERE rolname = %s", role)[0][0])

    def _ask(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query.encode(), parameters).fetchall()
        except psycopg.Error as error:
            raise CannotTell(explain(self._node, error)) from error


def _by_mode(
    locked: Sequence[tuple[str, int, str, str]],
) -> tuple[tuple[Relation, ...], tuple[Relation, ...], bool]:
    """Return what is read and what is written, by the locks of the transaction."""
    writes = tuple(Relation(n, oid) for n, oid, mode, _ in locked if mode == "RowExclusiveLock")
    reads = tuple(Relation(n, oid) for n, oid, mode, _ in locked if mode != "RowExclusiveLock")
    return reads, writes, any(kind in ("v", "m") for *_, kind in locked)


def same_everywhere(types: Sequence[int]) -> list[int]:
    """Return the numbers of types that another database knows as well; 0, which leaves it to the server, for others."""
    return [oid if oid < _FIRST_OWN_OID and oid != _UNKNOWN else 0 for oid in types]


@contextmanager
def opened(cluster: Cluster, role: str, search_path: str | None) -> Iterator[Schema]:
    """Yield a schema on a connection of its own, with the search_path that the role has there. Raises CannotTell."""
    with cluster.connect(cluster.primary) as connection:
        try:
            path = search_path or _path_of(connection, role)
            if path is not None:
                for_role = sql.Identifier(role).as_string(connection)
                connection.execute(
                    "SELECT set_config('search_path', %s, false)", (path.replace('"$user"', for_role),)
                )
            unusable = connection.execute(_UNUSABLE.encode()).fetchone()
        except psycopg.Error as error:
            raise CannotTell(explain(cluster.primary, error)) from error
        if unusable and unusable[0]:
            # A name without a schema is not found there, as if the table were gone.
            raise CannotTell(
                f"{cluster.settings.name} on {cluster.primary.name}: the gate's role may not look into the search_path of "
                f"{role}: GRANT USAGE ON SCHEMA {unusable[0]} TO {cluster.settings.user}"
            )
        yield Schema(cluster, connection)


def _path_of(connection: Connection, role: str) -> str | None:
    """Return the role's search_path in this database, else the server's; None where that is what we have already."""
    if found := connection.execute(_SEARCH_PATH.encode(), {"role": role}).fetchone():
        return str(found[0])
    own = connection.execute(_OWN_PATH.encode()).fetchone()
    if own and own[0]:
        return '"$user", public'
    shown = connection.execute("SHOW search_path").fetchone()
    return str(shown[0]) if shown else None
