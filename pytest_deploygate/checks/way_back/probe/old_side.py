"""Whether the old side is still written after the cutover: its database's and its balancer's counters, read twice."""

from __future__ import annotations

import csv
import io
import time
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from pytest_deploygate.checks.way_back.facts import Clients, OldSideSeen
from pytest_deploygate.checks.way_back.section.fence import Fence, OldFront
from pytest_deploygate.clients import haproxy as haproxy_socket
from pytest_deploygate.clients.postgres import read_only
from pytest_deploygate.clients.postgres.cluster import explain
from pytest_deploygate.fields.names import matches
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_CONNECT_S = 5
_STATEMENT_MS = 20_000
_LONGEST_WATCH_S = 60.0
_NAME = "deploygate"
#: Written rows of every user table: inserts, updates, deletes since the last reset of the statistics.
_WRITTEN = (
    """SELECT schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"""
)
_CLIENTS = """SELECT usename::text, coalesce(host(client_addr), 'a local socket'), coalesce(application_name, ''),
    count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database()
    AND pid <> pg_backend_pid() GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT 20"""


def old_side_writes(fence: Fence, cutover: datetime | None) -> OldSideSeen:
    """Observe the old side for a while. Raises CannotTell if it cannot be reached or queried."""
    where = f"{fence.name} on {fence.host}:{fence.port}"
    try:
        with _connect(fence) as connection:
            return _look(connection, fence, cutover, where)
    except psycopg.Error as error:
        node = Node(name=f"the old side's database {fence.name}", host=fence.host, port=fence.port)
        raise CannotTell(f"{explain(node, error)}; so whether it is still written is unknown") from None


def _look(
    connection: psycopg.Connection[TupleRow], fence: Fence, cutover: datetime | None, where: str
) -> OldSideSeen:
    kept = _read_only(connection)
    before, first = _written(connection), _rows(connection, fence, cutover)
    requests, why = _requests(fence.front)
    began = time.monotonic()
    time.sleep(min(fence.watch.total_seconds(), _LONGEST_WATCH_S))
    last, after = _rows(connection, fence, cutover), _written(connection)
    again, why_again = _requests(fence.front)
    rose = [
        (name, count - before.get(name, 0)) for name, count in after.items() if count != before.get(name, 0)
    ]
    left_out = [name for name, _ in rose if any(matches(name, one) for one in fence.ignore)]
    clients = connection.execute(_CLIENTS).fetchall()
    whole = isinstance(first, int) and isinstance(last, int)
    return OldSideSeen(
        where=where,
        cutover=cutover,
        rows=(int(first), int(last)) if whole else None,
        rows_problem="" if whole else str(first if isinstance(first, str) else last),
        written=tuple((name, by) for name, by in sorted(rose) if by > 0 and name not in left_out),
        ignored=tuple(left_out),
        tables=len(after),
        reset=any(by < 0 for _, by in rose),
        over_s=round(time.monotonic() - began, 3),
        read_only=kept,
        clients=tuple(Clients(*row) for row in clients),
        requests=again - requests if again is not None and requests is not None else None,
        front_problem=why or why_again,
    )


def _read_only(connection: psycopg.Connection[TupleRow]) -> bool:
    """Return whether clients cannot write, then make our own session read-only, which would have hidden it."""
    recovers = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    kept = bool(read_only.for_others(connection).by)
    connection.execute("SET default_transaction_read_only = on")
    return kept or bool(recovers and recovers[0])


def _connect(fence: Fence) -> psycopg.Connection[TupleRow]:
    return psycopg.connect(
        host=fence.host,
        port=int(fence.port),
        dbname=fence.name,
        user=fence.user,
        password=fence.password.reveal() if fence.password else None,
        sslmode=fence.sslmode,
        connect_timeout=_CONNECT_S,
        application_name=_NAME,
        options=f"-c statement_timeout={_STATEMENT_MS}",
        autocommit=True,
    )


def _written(connection: psycopg.Connection[TupleRow]) -> dict[str, int]:
    connection.execute("SELECT pg_stat_clear_snapshot()")
    return {str(name): int(count) for name, count in connection.execute(_WRITTEN.encode()).fetchall()}


def _rows(connection: psycopg.Connection[TupleRow], fence: Fence, cutover: datetime | None) -> int | str:
    """Return how many rows were written since the cutover, or why that is unknown."""
    if cutover is None:
        return "the time of the cutover is unknown: set `rollback.cutover`"
    try:
        row = connection.execute(fence.count.encode(), {"cutover": cutover}).fetchone()
    except psycopg.Error as error:
        return f"rollback.fence.count failed: {redact(' '.join(str(error).split()))}"
    found: Any = row[0] if row else None
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        return f"rollback.fence.count returned {found!r}, which is not a number of rows"
    return found


def _requests(front: OldFront | None) -> tuple[int | None, str]:
    """Return the total requests of the old balancer's frontend (HAProxy's `req_tot`), or why they are unknown."""
    if front is None:
        return None, ""
    try:
        table = haproxy_socket.ask(front.socket, "show stat")
    except OSError as error:
        return None, f"HAProxy at {front.socket} cannot be queried: {error.strerror or error}"
    for row in csv.DictReader(io.StringIO(table.removeprefix("# "))):
        if row.get("pxname") == front.frontend and row.get("svname") == "FRONTEND":
            told = row.get("req_tot") or row.get("stot") or ""
            return (
                (int(told), "") if told.isdigit() else (None, f"HAProxy at {front.socket} counts no requests")
            )
    return None, f"HAProxy at {front.socket} has no frontend {front.frontend!r}"
