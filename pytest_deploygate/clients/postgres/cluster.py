"""Connections to a PostgreSQL cluster: one read-only connection per node, reused, with a limit on every wait.

Probes of the database take a `Cluster` and use `rows` (one node) or `everywhere` (all nodes concurrently).
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from pytest_deploygate.clients import reach, stopping
from pytest_deploygate.clients.postgres.cutting import cutting
from pytest_deploygate.fields.postgres import ConnectionSettings, Node
from pytest_deploygate.model import CannotTell, NotReached
from pytest_deploygate.redaction import redact

T = TypeVar("T")
#: libpq's text around the cause; our own sentence already has host and port.
_NOISE = re.compile(
    r'connection failed: |connection to server at "[^"]*"(?: \([^)]*\))?, port \d+ failed: '
    r"|(?:error: )?Is the server running on that host and accepting TCP/IP connections\?|FATAL: ?"
)
#: A node that took this long to fail is not waited for again in this run (`clients.reach`). One that answers at once, e.g.
#: refuses, is tried every time: a restarting server is back soon.
_HUNG_S = 1.0
#: Settings on which reading answers or running our statements relies. ALTER DATABASE, ALTER ROLE or postgresql.conf may
#: say otherwise; an option of the connection takes precedence. `search_path` is left as it is for the gate's role, because
#: the inventory's unqualified names are resolved by it. Only settings that any role may set, and that every version knows.
_PINNED = {
    "timezone": "UTC",
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmloption": "content",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "row_security": "on",
    "client_min_messages": "warning",
}
Connection = psycopg.Connection[TupleRow]
Query = str | sql.Composable
Parameters = Sequence[object] | Mapping[str, object] | None


class Cluster:
    """A PostgreSQL cluster with its open connections.

    `settings` says how to connect. All reads use connections that are read-only by
    `default_transaction_read_only` and limited by `statement_timeout`; only `writer` returns one that may write.
    """

    def __init__(self, settings: ConnectionSettings, writes_schema: str | None = None) -> None:
        self.settings = settings
        self.writes_schema = writes_schema
        self._open: dict[str, Connection] = {}
        self._changing = 0
        self._locks = {node.name: threading.Lock() for node in settings.nodes}

    @property
    def primary(self) -> Node:
        """The node declared as primary in the inventory."""
        return self.settings.primary

    @property
    def replicas(self) -> tuple[Node, ...]:
        """The nodes declared as replicas in the inventory."""
        return tuple(self.settings.replicas or ())

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Primary first."""
        return self.settings.nodes

    def rows(self, node: Node, query: Query, parameters: Parameters = None) -> list[TupleRow]:
        """Run one query on a node and return its rows.

        A connection that broke since its last use is reopened once. Raises CannotTell with the node's name
        and the server's message if the node cannot be reached, refuses, times out or denies permission.
        """
        with self._locks[node.name]:
            for attempt in (1, 2):
                connection = self._reading(node)
                try:
                    return _fetch(connection, query, parameters)
                except psycopg.errors.LockNotAvailable as error:
                    raise CannotTell(f"{explain(node, error)}{_blockers(connection)}") from error
                except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                    if connection.broken or connection.closed:
                        self._open.pop(node.name, None)
                        if attempt == 1:
                            continue
                    raise CannotTell(explain(node, error)) from error
                except psycopg.Error as error:
                    raise CannotTell(explain(node, error)) from error
        raise AssertionError("unreachable")

    def value(self, node: Node, query: Query, parameters: Parameters = None) -> Any:
        """Return the first column of the first row, or None if there is no row."""
        found = self.rows(node, query, parameters)
        return found[0][0] if found else None

    def everywhere(
        self, read: Callable[[Node], T], nodes: Iterable[Node] | None = None
    ) -> dict[str, T | CannotTell]:
        """Call `read(node)` for several nodes concurrently; return answer or CannotTell by node name."""
        wanted = list(self.nodes if nodes is None else nodes)

        def guarded(node: Node) -> T | CannotTell:
            try:
                return read(node)
            except CannotTell as unknown:
                return unknown

        with ThreadPoolExecutor(max_workers=min(16, len(wanted) or 1)) as pool:
            return dict(zip((n.name for n in wanted), pool.map(guarded, wanted), strict=True))

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """While a drill changes the cluster, a node that hung is asked again, and is not remembered as silent."""
        self._changing += 1
        try:
            yield
        finally:
            self._changing -= 1

    def connect(self, node: Node, *, read_only: bool | None = True, afresh: bool = False) -> Connection:
        """Open a new connection (autocommit). The caller closes it. Raises CannotTell; NotReached if nothing answered.

        With `read_only` None all settings are the server's own, except the limits of waiting: for reading those settings.

        A node that hung before is not waited for again in this run, unless `afresh` or in a block of `changing`: the reason
        says when it was tried.
        """
        place = reach.at(node.host, node.port)
        if not (afresh or self._changing) and (silence := reach.known(place)):
            raise NotReached(f"{node.name} ({place}) cannot be used: {silence.said}{silence.when}")
        began = time.monotonic()
        try:
            opened = self._connect(node, read_only=read_only)
        except CannotTell as unknown:
            if time.monotonic() - began >= _HUNG_S and not self._changing:
                reach.silent(place, str(unknown).partition(" cannot be used: ")[2] or str(unknown))
            raise
        reach.heard(place)
        return opened

    def _connect(self, node: Node, *, read_only: bool | None) -> Connection:
        database = self.settings
        timeout_ms = int(database.statement_timeout.total_seconds() * 1000)
        settings = {
            "default_transaction_read_only": "on" if read_only else "off",
            "statement_timeout": str(timeout_ms),
            "lock_timeout": str(min(timeout_ms, 5000)),
            "idle_in_transaction_session_timeout": "60000",
            **_PINNED,
        }
        if read_only is None:
            settings = {name: value for name, value in settings.items() if name.endswith("_timeout")}
        connect_s = max(2, round(database.connect_timeout.total_seconds()))
        try:
            return _interruptible(
                host=node.host,
                port=node.port,
                dbname=database.name,
                user=database.user,
                password=database.password.reveal() if database.password else None,
                sslmode=database.sslmode,
                sslrootcert=str(database.sslrootcert) if database.sslrootcert else None,
                connect_timeout=connect_s,
                # A host that stops answering during a statement must not block us.
                keepalives=1,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=timeout_ms + 5000,
                application_name="deploygate",
                client_encoding="UTF8",
                # A blank within a value is escaped: blanks separate options.
                options=" ".join(
                    "-c " + f"{name}={value}".replace(" ", r"\ ") for name, value in settings.items()
                ),
                autocommit=True,
                prepare_threshold=None,
            )
        except psycopg.Error as error:
            said = explain(node, error)
            unanswered = reach.why_ours_in(said) or reach.no_answer_in(said)
            raise (NotReached if unanswered else CannotTell)(said) from error

    def own_settings(self, node: Node) -> dict[str, str]:
        """Return what a session gets of the settings that our other connections pin. Raises CannotTell."""
        names = [*_PINNED, "default_transaction_read_only"]
        try:
            with self.connect(node, read_only=None) as connection:
                query = b"SELECT name, setting FROM pg_settings WHERE lower(name) = ANY(%s)"
                return {
                    str(name): str(value) for name, value in connection.execute(query, (names,)).fetchall()
                }
        except psycopg.Error as error:
            raise CannotTell(explain(node, error)) from error

    def writer(self, node: Node) -> tuple[Connection, str]:
        """Return a connection that may write, and the schema to write in. Raises CannotTell without that permission."""
        if not self.writes_schema:
            raise CannotTell(
                "nothing may be written: the inventory has no `writes: {schema: …}` naming a schema for the gate"
            )
        return self.connect(node, read_only=False), self.writes_schema

    def close(self) -> None:
        """Close every connection."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _reading(self, node: Node) -> Connection:
        connection = self._open.get(node.name)
        if connection is None or connection.closed:
            connection = self._open[node.name] = self.connect(node)
        return connection


def _interruptible(**how: Any) -> Connection:
    with stopping.interrupting():
        return psycopg.connect(**how)


def _fetch(connection: Connection, query: Query, parameters: Parameters) -> list[TupleRow]:
    # With a parameters argument psycopg reads % as a placeholder; without one a literal % is left alone.
    composed = query.encode() if isinstance(query, str) else query.as_bytes(connection)
    with cutting(connection), connection.cursor() as cursor:
        cursor.execute(composed, parameters)
        return cursor.fetchall() if cursor.description else []


#: Who holds locks that keep others from reading, the oldest transaction first.
_BLOCKERS = """
SELECT l.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''), string_agg(DISTINCT l.relation::regclass::text, ', ')
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'm')
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
GROUP BY 1, 2, 3, a.xact_start ORDER BY a.xact_start LIMIT 3
"""


def _blockers(connection: Connection) -> str:
    """Name the sessions that keep tables from being read, after a statement of ours waited in vain; best effort."""
    try:
        rows = _fetch(connection, _BLOCKERS, None)
    except psycopg.Error:
        return ""
    found = [
        f"process {pid} of {role}{f' ({name})' if name else ''} holds ACCESS EXCLUSIVE on {tables}"
        for pid, role, name, tables in rows
    ]
    return f": {'; '.join(found)}; end its transaction, or run again after it" if found else ""


#: The next step if a connection fails, by the message of libpq or the server.
_NEXT_STEPS = (
    ("connection refused", "start it, or correct host and port in the inventory"),
    ("timeout expired", "check whether it hangs or a firewall drops the packets"),
    ("password authentication failed", "correct user or password of the inventory's `database`"),
    ("no pg_hba.conf entry", "allow the gate's role from this host in pg_hba.conf"),
    ("could not translate host name", "correct the host, or its DNS record"),
    ("failed to resolve host", "correct the host, or its DNS record"),
)


def _next_step(said: str) -> str:
    return next((f"; {step}" for words, step in _NEXT_STEPS if words in said.lower()), "")


def explain(node: Node, error: psycopg.Error) -> str:
    """Return one sentence: which node failed and why, with the server's own message, without secrets."""
    text = _NOISE.sub("", " ".join(str(error).split())).strip() or type(error).__name__
    at = f"{node.name} ({node.host}:{node.port})"
    if isinstance(error, psycopg.errors.QueryCanceled):
        return f"{at} did not answer within the statement timeout: {redact(text)}"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return f"{at} did not give a lock within lock_timeout: another session holds it"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{at} denies permission: {redact(text)}; grant it to the gate's role"
    if isinstance(error, psycopg.OperationalError):
        return f"{at} cannot be used: {redact(text)}{_next_step(text)}"
    return f"{at} answered with an error: {redact(text)}"
