"""The lab's own connections to its databases, as superuser or as one of the platform's roles."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.rows import TupleRow

from pytest_deploygate.lab.state import DATABASE, HOST, PRIMARY, REPLICAS, SUPERUSER, Lab, LabError

T = TypeVar("T")
Connection = psycopg.Connection[TupleRow]
Unreachable = psycopg.OperationalError
Refused = psycopg.Error


def connect(
    lab: Lab,
    node: str = PRIMARY,
    *,
    role: str = SUPERUSER,
    database: str = DATABASE,
    options: str = "-c statement_timeout=60s -c lock_timeout=10s",
    host: str = HOST,
) -> Connection:
    """Open a connection in autocommit. Raises Unreachable."""
    return psycopg.connect(
        host=host,
        port=lab.ports[node],
        dbname=database,
        user=role,
        password=lab.password(role).reveal(),
        sslmode="disable",
        connect_timeout=5,
        application_name="deploygate-lab",
        options=options,
        autocommit=True,
    )


def execute(
    lab: Lab,
    *statements: str,
    node: str = PRIMARY,
    parameters: Sequence[object] | Mapping[str, object] | None = None,
) -> list[TupleRow]:
    """Run statements as superuser, each in a transaction of its own; return the last one's rows.

    Raises LabError with the server's message.
    """
    rows: list[TupleRow] = []
    try:
        with connect(lab, node) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode(), parameters)
                rows = cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        raise LabError(f"{node} answered: {' '.join(str(error).split())}") from None
    return rows


def value(lab: Lab, query: str, *, node: str = PRIMARY) -> Any:
    """Return the first column of the first row as superuser, None without a row."""
    rows = execute(lab, query, node=node)
    return rows[0][0] if rows else None


def wait_until(what: str, ask: Callable[[], bool], within_s: float = 20.0) -> None:
    """Poll until the condition holds. Raises LabError that names `what` when it does not."""
    deadline = time.monotonic() + within_s
    while not ask():
        if time.monotonic() > deadline:
            raise LabError(f"{what} did not happen within {within_s:.0f} s")
        time.sleep(0.03)


def wait_streaming(lab: Lab, replicas: Sequence[str] = REPLICAS, within_s: float = 20.0) -> None:
    """Wait until replicas stream through their slots and have replayed what the primary has written.

    The message gives a position that is sent at once: pg_current_wal_lsn() may lie within a record of an open transaction.
    """
    position = value(lab, "SELECT pg_logical_emit_message(true, 'lab', 'here')::text")

    def all_there() -> bool:
        found = execute(
            lab,
            "SELECT application_name FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid"
            f" WHERE state = 'streaming' AND replay_lsn >= '{position}'",
        )
        return {name for (name,) in found} >= set(replicas)

    try:
        wait_until(f"streaming to {' and '.join(replicas)}", all_there, within_s)
    except LabError as error:
        seen = execute(lab, "SELECT application_name, state, replay_lsn::text FROM pg_stat_replication")
        there = "; ".join(f"{name} {state} at {replayed}" for name, state, replayed in seen) or "nobody"
        raise LabError(f"{error}: the primary wrote {position} and sees {there}") from None


def analyze(lab: Lab, table: str) -> None:
    """Analyze a table that was rewritten until its statistics say so: a session reports its changes only when it ends."""

    def analyzed() -> bool:
        execute(lab, f"ANALYZE {table}")
        time.sleep(0.3)
        changed = f"SELECT n_mod_since_analyze FROM pg_stat_all_tables WHERE relid = '{table}'::regclass"
        return bool(value(lab, changed) < 100)

    wait_until(f"fresh statistics of {table}", analyzed)
