"""A side of a comparison that is a database of PostgreSQL: sessions whose settings are pinned; see `adapter`."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg

from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.clients.postgres.cutting import cutting
from pytest_deploygate.comparison import binary, catalog, hashing
from pytest_deploygate.comparison.adapter import Keyed, Side, Sum, Values
from pytest_deploygate.comparison.described import POSTGRES, Catalog
from pytest_deploygate.comparison.parts import Part
from pytest_deploygate.comparison.spec import Table
from pytest_deploygate.comparison.statements import Postgres, counted
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.model import CannotTell

#: Beside those that every connection of the gate pins. With `row_security` off a policy that would hide rows is an error.
#: Without parallel workers and JIT a session takes one processor, which is what the budget counts.
_PINNED = {
    "search_path": "pg_catalog",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "row_security": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "default_transaction_isolation": "read committed",
}
#: What every connection of the gate pins and texts depend on: read back, because a pooler may drop options.
_READ_BACK = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "client_encoding": "UTF8",
}
SETTINGS = {**_PINNED, **_READ_BACK}
_IDENTITY = """
SELECT current_setting('server_version_num'), current_setting('server_encoding'), current_database(),
  (SELECT oid::text FROM pg_database WHERE datname = current_database())
"""
_BUSY = """
SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend'
AND application_name <> 'deploygate'
"""


class PostgresServer:
    """A database of PostgreSQL: the node that accepts writes, or the only one."""

    def __init__(self, settings: ConnectionSettings, side: Side, statement_s: float) -> None:
        self.name, self.kind = settings.primary.name, POSTGRES
        self.side: Side = side
        self._settings, self._statement_s = settings, statement_s

    def identity(self) -> dict[str, str]:
        """Return version, encoding, name of the database, and the pinned settings; see `Server`."""
        with self.connect() as connection:
            version, encoding, database, oid = self.fetched(connection, _IDENTITY)[0]
        node = self._settings.primary
        return {
            "version": version,
            "encoding": encoding,
            "database": f"{database} ({oid})",
            "place": f"{node.host}:{node.port}",
            **SETTINGS,
        }

    def catalog(self) -> Catalog:
        """Return the tables; see `Server`."""
        return catalog.read(self)

    def checksums(self, how: str) -> list[int]:
        """Ask for the checksums of what is known; see `Server`."""
        with self.connect() as connection:
            try:
                return [int(number) for number in self.fetched(connection, question(how))[0]]
            except (
                CannotTell
            ) as error:  # a server without the function; a connection that broke says nothing of it
                if isinstance(error.__cause__, psycopg.ProgrammingError | psycopg.NotSupportedError):
                    return []
                raise

    def session(self, how: str) -> PostgresSession:
        """Open a session; see `Server`."""
        return PostgresSession(self, how)

    def connect(self) -> Connection:
        """Open a connection whose settings are pinned, and read back. The caller closes it. Raises CannotTell."""
        opened = Cluster(self._settings).connect(self._settings.primary)
        try:
            wanted = {**_PINNED, "statement_timeout": f"{int(self._statement_s * 1000)}"}
            for name, value in wanted.items():
                opened.execute("SELECT set_config(%s, %s, false)", (name, value))
            found = opened.execute(
                "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", (list(SETTINGS),)
            ).fetchall()
        except psycopg.Error as error:
            opened.close()
            raise CannotTell(explain(self._settings.primary, error)) from error
        if wrong := [f"{name} is {value!r}" for name, value in found if SETTINGS[name] != value]:
            opened.close()
            raise CannotTell(
                f"settings of a session on {self.name} cannot be fixed: {', '.join(wrong)}; connect to the server itself, "
                "not to a pooler"
            )
        return opened

    def fetched(self, connection: Connection, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows. Raises CannotTell."""
        try:
            with cutting(connection):
                return connection.execute(statement.encode()).fetchall()
        except psycopg.Error as error:
            raise CannotTell(explain(self._settings.primary, error)) from error


def question(how: str) -> str:
    """Return the statement that asks for the checksums of all that is known with a function: see `hashing`."""
    if how == hashing.COMMON:
        rows = [counted([_literal(value) for value in row]) for row in hashing.ROWS]
    elif how == hashing.FAST:
        sent = [[_literal(text)] for text in hashing.TEXTS] + [list(row) for row in hashing.SENT]
        rows = [binary.record(values) for values in sent]
    else:
        rows = [f"({_literal(text)})" for text in hashing.TEXTS]
    return "SELECT " + ", ".join(hashing.of(row, how) for row in rows)


def _literal(value: str | None) -> str:
    return "NULL::text" if value is None else "'" + value.replace("'", "''") + "'::text"


class PostgresSession:
    """One connection to a PostgreSQL server; see `Session`."""

    def __init__(self, server: PostgresServer, how: str) -> None:
        self._server, self._how = server, how
        self._connection = server.connect()
        self._asked: tuple[Table, Postgres] | None = None

    def sums(self, table: Table, part: Part) -> list[Sum]:
        """See `Session`."""
        found = self._fetch(self._of(table).sums(part))
        return [(int(tail), int(rows), int(total)) for tail, rows, total in found]

    def keys(self, table: Table, part: Part) -> list[Keyed]:
        """See `Session`."""
        return [(key, number, rows) for key, number, rows in self._fetch(self._of(table).keys(part))]

    def rows(self, table: Table, part: Part, keys: list[str]) -> list[Values]:
        """See `Session`."""
        found = self._fetch(self._of(table).rows(part, keys)) if keys else []
        return [(row[0], row[1], tuple(row[2:])) for row in found]

    def bounds(self, table: Table, ranges: int) -> tuple[tuple[str, ...], ...]:
        """See `Session`. A sample of pages is read; where there can be none, all keys."""
        asked = self._of(table)
        percent = min(100.0, 100.0 * 4 * ranges / max(table.pages, 1))
        try:
            found = self._fetch(asked.quantiles(ranges, percent))
        except CannotTell:
            found = self._fetch(asked.quantiles(ranges, None))
        width = len(table.ordered)
        return tuple(tuple(row[width:]) for row in found)

    def extent(self, table: Table) -> tuple[str | None, str | None]:
        """Return the least and the greatest first value of the key, as text. Raises CannotTell."""
        least, most = self._fetch(self._of(table).extent())[0]
        return least, most

    def busy(self) -> int:
        """See `Session`."""
        return int(self._fetch(_BUSY)[0][0])

    def close(self) -> None:
        """See `Session`."""
        self._connection.close()

    def cancel(self) -> None:
        """See `Session`."""
        with contextlib.suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=2.0)

    def _of(self, table: Table) -> Postgres:
        if self._asked is None or self._asked[0] is not table:
            self._asked = table, Postgres(table, self._server.side, self._how)
        return self._asked[1]

    def _fetch(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement, once more on a new connection if the old one broke."""
        if self._connection.closed or self._connection.broken:
            self._connection = self._server.connect()
        try:
            return self._server.fetched(self._connection, statement)
        except CannotTell:
            if not (self._connection.closed or self._connection.broken):
                raise
        self._connection = self._server.connect()
        return self._server.fetched(self._connection, statement)
