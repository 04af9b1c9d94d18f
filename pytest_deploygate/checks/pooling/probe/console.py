"""PgBouncer's admin console: its configuration, databases and pools, and the connection limit of the server behind it.

The console supports only the simple query protocol (`ClientCursor`), and returns some numbers as text.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg
from psycopg.rows import dict_row

from pytest_deploygate.checks.pooling.facts import Capacity, PoolerFacts, PoolFacts
from pytest_deploygate.checks.pooling.section import Pooler, Pooling
from pytest_deploygate.checks.postgres.probe import servers
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.deadline import Deadline, end
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.remembered import once
from pytest_deploygate.redaction import redact

#: A console answers from memory.
_ANSWERS_S = 5.0
_RESERVED = ("superuser_reserved_connections", "reserved_connections")


def pooler(cluster: Cluster, pooler: Pooler) -> PoolerFacts:
    """Query a pooler's console, once per session. A failure is a value."""
    return once(cluster, f"pooler {pooler.name}", lambda: _facts(cluster, pooler))


def capacity(cluster: Cluster, pooling: Pooling) -> Capacity:
    """Return the pools of all poolers and the primary's limits. Raises CannotTell without the primary."""
    state = servers.server_state(cluster, cluster.primary)
    in_use = cluster.value(
        cluster.primary, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    return Capacity(
        state.node,
        int(state.settings.get("max_connections") or 0),
        sum(int(state.settings.get(name) or 0) for name in _RESERVED),
        in_use,
        tuple(pooler(cluster, each) for each in pooling.poolers),
    )


def login(cluster: Cluster, pooler: Pooler, database: str) -> dict[str, Any]:
    """Return psycopg's parameters for a connection to the pooler."""
    section = cluster.settings
    password = pooler.password or section.password
    return {
        "host": pooler.host,
        "port": pooler.port,
        "dbname": database,
        "user": pooler.user or section.user,
        "password": password.reveal() if password else None,
        "sslmode": section.sslmode,
        "sslrootcert": str(section.sslrootcert) if section.sslrootcert else None,
        "connect_timeout": max(2, round(section.connect_timeout.total_seconds())),
        "application_name": "deploygate",
        "autocommit": True,
        "prepare_threshold": None,
    }


def _facts(cluster: Cluster, pooler: Pooler) -> PoolerFacts:
    name = pooler.database or cluster.settings.name
    place = reach.at(pooler.host, pooler.port)
    if silence := reach.known(place):
        return PoolerFacts(pooler.name, problem=str(silence))
    try:
        deadline = Deadline(cluster.settings.connect_timeout.total_seconds() + _ANSWERS_S)
        with (
            closing(
                psycopg.connect(
                    **login(cluster, pooler, "pgbouncer"),
                    cursor_factory=psycopg.ClientCursor,
                    tcp_user_timeout=8000,
                )
            ) as console,
            deadline.cutting(lambda: _cut(console)),
        ):
            config = {row["key"]: row["value"] for row in _show(console, "CONFIG")}
            databases = _show(console, "DATABASES")
            pools = _show(console, "POOLS")
    except (psycopg.Error, TimeoutError) as error:
        text = redact(" ".join(str(error).split()))
        if reach.no_answer_in(text) or isinstance(error, TimeoutError):
            reach.silent(place, text)
        return PoolerFacts(pooler.name, problem=text, refused="Connection refused" in text)
    found = next((row for row in databases if row["name"] in (name, "*")), None)
    if found is None:
        return PoolerFacts(pooler.name, problem=f"it has no database {name}; it has {_names(databases)}")
    return _read(pooler, config, found, [row for row in pools if row["database"] == name])


def _cut(console: psycopg.Connection[Any]) -> None:
    """End the connection's socket: the library waits for each answer as long as bytes come."""
    with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(console.fileno())) as copy:
        end(copy)


def _read(
    pooler: Pooler, config: dict[str, Any], found: dict[str, Any], pools: Sequence[dict[str, Any]]
) -> PoolerFacts:
    # Renamed in 1.24: reserve_pool became reserve_pool_size.
    reserve = found.get("reserve_pool_size", found.get("reserve_pool", 0))
    size = int(found["pool_size"]) + int(reserve or 0)
    roles_seen = tuple(sorted(row["user"] for row in pools))
    cap = int(found.get("max_connections") or 0)
    most = max(pooler.roles, len(roles_seen)) * size
    return PoolerFacts(
        pooler.name,
        size,
        min(most, cap) if cap else most,
        found["pool_mode"] or config.get("pool_mode", ""),
        bool(int(found.get("paused") or 0)),
        bool(int(found.get("disabled") or 0)),
        int(config.get("max_client_conn") or 0),
        tuple(_pool(row) for row in pools),
        roles_seen,
    )


def _pool(row: dict[str, Any]) -> PoolFacts:
    busy = sum(int(value or 0) for key, value in row.items() if key.startswith("sv_"))
    wait_s = float(row.get("maxwait") or 0) + float(row.get("maxwait_us") or 0) / 1e6
    return PoolFacts(
        row["database"],
        row["user"],
        row["pool_mode"],
        int(row["cl_active"]),
        int(row["cl_waiting"]),
        wait_s,
        busy,
    )


def _show(console: psycopg.Connection[Any], what: str) -> list[dict[str, Any]]:
    with console.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"SHOW {what}".encode()).fetchall()


def _names(rows: Sequence[dict[str, Any]]) -> str:
    return ", ".join(sorted(str(row["name"]) for row in rows if row["name"] != "pgbouncer")) or "none"
