"""PgBouncer's admin console: its configuration, databases and pools, and the connection limit of the server behind it.

The console supports only the simple query protocol (`ClientCursor`), and returns some numbers as text.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
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
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

#: A console answers from memory.
_ANSWERS_S = 5.0
_IDENTITY = "SELECT system_identifier::text FROM pg_control_system()"
_DENIED = "permission denied for function pg_control_system"
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
        config, databases, pools, users = _shown(cluster, pooler)
        if not any(row["name"] == name for row in databases) and _comes_in(cluster, pooler, name):
            # With `* = …` in its configuration a database is there from its first client on.
            config, databases, pools, users = _shown(cluster, pooler)
    except (psycopg.Error, TimeoutError) as error:
        text = redact(" ".join(str(error).split()))
        if reach.no_answer_in(text) or isinstance(error, TimeoutError):
            reach.silent(place, text)
        return PoolerFacts(pooler.name, problem=text, refused="Connection refused" in text)
    found = next((row for row in databases if row["name"] == name), None)
    if found is None:
        return PoolerFacts(pooler.name, problem=f"it has no database {name}; it has {_names(databases)}")
    facts = _read(
        pooler,
        {row["key"]: row["value"] for row in config},
        databases,
        found,
        pools,
        users,
        pooler.user or cluster.settings.user,
    )
    behind, problem = _behind(cluster, pooler, name)
    return replace(facts, behind=behind, behind_problem=problem)


def _shown(cluster: Cluster, pooler: Pooler) -> list[list[dict[str, Any]]]:
    """Return the console's configuration, databases, pools and users."""
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
        return [_show(console, what) for what in ("CONFIG", "DATABASES", "POOLS", "USERS")]


def _comes_in(cluster: Cluster, pooler: Pooler, database: str) -> bool:
    with contextlib.suppress(psycopg.Error):
        psycopg.connect(**login(cluster, pooler, database), tcp_user_timeout=8000).close()
        return True
    return False


def _cut(console: psycopg.Connection[Any]) -> None:
    """End the connection's socket: the library waits for each answer as long as bytes come."""
    with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(console.fileno())) as copy:
        end(copy)


def _read(
    pooler: Pooler,
    config: dict[str, Any],
    databases: Sequence[dict[str, Any]],
    found: dict[str, Any],
    pools: Sequence[dict[str, Any]],
    users: Sequence[dict[str, Any]],
    own: str,
) -> PoolerFacts:
    """Read what is in force: a role's mode and size take precedence over the database's, that over the configuration's."""
    mine = [row for row in pools if row["database"] == found["name"]]
    sizes = {str(row["name"]): int(row.get("pool_size") or 0) for row in users}
    # Our own pool, of an earlier run, is none of the platform's, unless nobody else has one.
    everybody = sorted(str(row["user"]) for row in mine)
    seen = tuple([role for role in everybody if role != own] or everybody)
    same = [
        (
            str(row["name"]),
            _most(row, [str(p["user"]) for p in pools if p["database"] == row["name"]], sizes, 1),
        )
        for row in databases
        if row["name"] not in ("pgbouncer", found["name"]) and _servers(row) & _servers(found)
    ]
    modes = {str(row["name"]): str(row["pool_mode"]) for row in users if row.get("pool_mode")}
    modes |= {str(row["user"]): str(row["pool_mode"]) for row in mine if row.get("pool_mode")}
    return PoolerFacts(
        pooler.name,
        max([_size(found), *(sizes.get(role, 0) + _reserve(found) for role in seen if sizes.get(role))]),
        _most(found, list(seen), sizes, pooler.roles),
        found["pool_mode"] or config.get("pool_mode", ""),
        bool(int(found.get("paused") or 0)),
        bool(int(found.get("disabled") or 0)),
        int(config.get("max_client_conn") or 0),
        tuple(_pool(row) for row in mine),
        seen,
        others=tuple(same),
        modes=tuple(sorted(modes.items())),
    )


def _reserve(database: dict[str, Any]) -> int:
    # Renamed in 1.24: reserve_pool became reserve_pool_size.
    return int(database.get("reserve_pool_size", database.get("reserve_pool", 0)) or 0)


def _size(database: dict[str, Any]) -> int:
    return int(database["pool_size"]) + _reserve(database)


def _most(database: dict[str, Any], seen: Sequence[str], sizes: dict[str, int], roles: int) -> int:
    """Return how many connections a database's pools may open: one pool for each role, or the database's cap."""
    # With a forced user all clients share one pool.
    forced = str(database.get("force_user") or "")
    own = [forced] if forced else list(seen) + [""] * max(0, roles - len(seen))
    asked = sum((sizes.get(role, 0) or int(database["pool_size"])) + _reserve(database) for role in own)
    cap = int(database.get("max_connections") or 0)
    return min(asked, cap) if cap else asked


def _servers(database: dict[str, Any]) -> set[tuple[str, int]]:
    """Return the addresses of the servers behind a database (a list since 1.17); the ways to name this host are one."""
    hosts = str(database.get("host") or "localhost").lower().split(",")
    local = ("localhost", "127.0.0.1", "::1")
    port = int(database.get("port") or 5432)
    return {
        ("localhost" if h.strip() in local or h.strip().startswith("/") else h.strip(), port) for h in hosts
    }


def _behind(cluster: Cluster, pooler: Pooler, database: str) -> tuple[str, str]:
    """Ask through the pooler which server answers; return what it is, or why that is unknown."""
    recovery = None
    try:
        # A pooler may refuse what it does not know at the start of a connection, so nothing is set there.
        with closing(psycopg.connect(**login(cluster, pooler, database), tcp_user_timeout=8000)) as through:
            recovery = through.execute("SELECT pg_is_in_recovery()").fetchone()
            there = through.execute(_IDENTITY.encode()).fetchone()
        own = cluster.value(cluster.primary, _IDENTITY)
    except (CannotTell, psycopg.Error) as error:
        if recovery and recovery[0]:
            return "replica", ""
        said = redact(" ".join(str(error).split()))
        grant = (
            "; GRANT EXECUTE ON FUNCTION pg_control_system() TO the gate's role" if _DENIED in said else ""
        )
        return "", f"{said}{grant}"
    if recovery is None or there is None:
        return "", "it returned nothing"
    return ("another cluster" if there[0] != own else "replica" if recovery[0] else "primary"), ""


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
