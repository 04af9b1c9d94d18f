"""Read how each server is configured: version, settings, checksums, extensions, ages, and pending restarts.

Each node is read once per session. What the gate's role may not see is None, and `hidden` names it.
"""

from __future__ import annotations

import ipaddress

import psycopg

from pytest_deploygate.checks.postgres.facts import Idle, LoginRule, ServerState
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.remembered import once
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

_SETTINGS = """
SELECT name, setting, unit, pending_restart FROM pg_settings
"""
# Everything else in one row.
_STATE = """
WITH idle AS MATERIALIZED (SELECT pid, usename, application_name, xact_start FROM pg_stat_activity
    WHERE state LIKE 'idle in transaction%' AND xact_start IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1)
SELECT pg_is_in_recovery(),
    (SELECT max(age(datfrozenxid)) FROM pg_database WHERE datallowconn),
    (SELECT sum(checksum_failures)::int8 FROM pg_stat_database),
    (SELECT coalesce(jsonb_object_agg(extname, extversion), '{}') FROM pg_extension),
    (SELECT coalesce(jsonb_object_agg(e.extname, coalesce(a.default_version, 'no package')), '{}') FROM pg_extension e
        LEFT JOIN pg_available_extensions a ON a.name = e.extname WHERE a.default_version IS DISTINCT FROM e.extversion),
    (SELECT coalesce(jsonb_agg(c.collname), '[]') FROM pg_collation c WHERE c.collversion IS NOT NULL
        AND c.collversion <> pg_collation_actual_version(c.oid)
        AND EXISTS (SELECT FROM pg_attribute a WHERE a.attcollation = c.oid AND a.attrelid >= 16384)),
    (SELECT gid FROM pg_prepared_xacts ORDER BY prepared LIMIT 1),
    (SELECT clock_timestamp() - min(prepared) FROM pg_prepared_xacts),
    -- Superusers only, unless granted.
    has_table_privilege('pg_hba_file_rules', 'SELECT') AND has_function_privilege('pg_hba_file_rules()', 'EXECUTE'),
    -- Without pg_monitor, other roles' sessions show neither state nor kind; track_activities = off hides the state alone.
    (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND (state IS NULL AND backend_type IS NULL OR state = 'disabled')),
    quote_ident(current_user),
    -- An aborted transaction has no start any more: it has given up its locks.
    (SELECT pid FROM idle), (SELECT coalesce(usename, '?') FROM idle), (SELECT application_name FROM idle),
    (SELECT clock_timestamp() - xact_start FROM idle)
"""
# Since 15, the database itself has a collation version too. ICU's locale has a column of its own, renamed in 17.
_DATABASE_COLLATION = """
SELECT coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', datcollate) FROM pg_database d WHERE datname = current_database()
    AND datcollversion <> pg_database_collation_actual_version(oid)
"""
# Roles whose commits do not wait for the disk, by ALTER ROLE or ALTER DATABASE; the value is kept as it was written.
_ASYNCHRONOUS = """
SELECT coalesce('role ' || r.rolname, 'database ' || d.datname)
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
WHERE EXISTS (SELECT FROM unnest(s.setconfig) c WHERE lower(c) IN ('synchronous_commit=off', 'synchronous_commit=false',
        'synchronous_commit=no', 'synchronous_commit=0')) AND (s.setdatabase = 0 OR d.datname = current_database()) ORDER BY 1
"""
# Since 16, the file may include others, and rule_number is the order of all.
_RULES = """
SELECT line_number, regexp_replace(coalesce(to_jsonb(r) ->> 'file_name', 'pg_hba.conf'), '^.*/', ''), coalesce(type, ''), coalesce(database, '{}'),
    coalesce(user_name, '{}'), coalesce(address, ''), coalesce(netmask, ''), coalesce(auth_method, ''), coalesce(options, '{}'), coalesce(error, '')
FROM pg_hba_file_rules r ORDER BY (to_jsonb(r) ->> 'rule_number')::int, line_number
"""
_WATCHED_HIDDEN = ("shared_preload_libraries",)
_UNITS = {"B": 1, "kB": 1024, "MB": 1024**2, "8kB": 8192, "16MB": 16 * 1024**2}


def server_state(cluster: Cluster, node: Node) -> ServerState:
    """Return how a node is configured. Raises CannotTell."""
    return once(cluster, f"server {node.name}", lambda: _state(cluster, node))


def setting(cluster: Cluster, node: Node, name: str) -> str | None:
    """Return one setting; None if it does not exist or is hidden from us. Raises CannotTell."""
    return server_state(cluster, node).settings.get(name)


def _state(cluster: Cluster, node: Node) -> ServerState:
    rows = cluster.rows(node, _SETTINGS)
    # Names as pg_settings writes them; the server's own values of what our connections pin.
    own_values = {name.lower(): value for name, value in cluster.own_settings(node).items()}
    settings: dict[str, str | None] = {
        name: own_values.get(name.lower(), value) for name, value, _, _ in rows
    }
    sizes = {name: int(value) * _UNITS[unit] for name, value, unit, _ in rows if unit in _UNITS}
    major = int(settings.get("server_version_num") or 0) // 10000
    (
        recovery,
        xid_age,
        failures,
        extensions,
        updates,
        collations,
        prepared,
        prepared_age,
        readable,
        unseen,
        role,
        *idle,
    ) = cluster.rows(node, _STATE)[0]
    own = cluster.rows(node, _DATABASE_COLLATION) if major >= 15 else []
    hidden = tuple(name for name in _WATCHED_HIDDEN if settings.get(name) is None)
    rules = _rules(cluster, node) if readable else None
    return ServerState(
        node=node.name,
        primary=node.name == cluster.primary.name,
        version=(settings.get("server_version") or "").partition(" ")[0],
        in_recovery=recovery,
        settings=settings,
        sizes=sizes,
        pending_restart=tuple(sorted(name for name, _, _, pending in rows if pending)),
        extensions=extensions,
        updates=updates,
        xid_age=xid_age,
        checksum_failures=failures,
        collations=tuple(sorted([*collations, *(f"{name} (of the database)" for (name,) in own)])),
        prepared=(prepared, prepared_age) if prepared is not None else None,
        hidden=hidden,
        asynchronous=tuple(str(who or "every role") for (who,) in cluster.rows(node, _ASYNCHRONOUS)),
        rules=rules,
        unasked=_unasked(cluster, node) if rules is None else None,
        local=_local(node.host),
        idle=Idle(*idle) if idle[0] is not None else None,
        unseen_sessions=unseen,
        role=role,
    )


def _rules(cluster: Cluster, node: Node) -> tuple[LoginRule, ...] | None:
    try:
        rows = cluster.rows(node, _RULES)
    except CannotTell:
        # A server that keeps no such file. Where the connection broke, the next query says so.
        return None
    return tuple(
        LoginRule(
            line,
            file,
            kind,
            tuple(databases),
            tuple(users),
            _network(host, mask),
            method,
            tuple(options),
            error,
        )
        for line, file, kind, databases, users, host, mask, method, options, error in rows
    )


def _network(host: str, mask: str) -> str:
    try:
        bits = int(ipaddress.ip_address(mask)).bit_count() if mask else ""
        return str(ipaddress.ip_network(f"{host}/{bits}".rstrip("/"), strict=False))
    except ValueError:
        return host


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith("/")


def _unasked(cluster: Cluster, node: Node) -> bool | None:
    """Try to log in as the gate's role without its password; None if it has none, or if that cannot be told."""
    settings = cluster.settings
    if settings.password is None:
        return None
    try:
        psycopg.connect(
            host=node.host, port=node.port, dbname=settings.name, user=settings.user, password="", passfile="/dev/null",
            sslmode=settings.sslmode, sslrootcert=str(settings.sslrootcert) if settings.sslrootcert else None,
            connect_timeout=max(2, round(settings.connect_timeout.total_seconds())), application_name="deploygate",
        ).close()  # fmt: skip
    except psycopg.Error as error:
        return (
            False if "no password supplied" in str(error) or "authentication failed" in str(error) else None
        )
    return True
