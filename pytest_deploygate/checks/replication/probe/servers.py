"""Read what each server reports about replication: itself, its standbys and its slots, with one query each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg

from pytest_deploygate.checks.replication.facts import Server, Slot, Standby
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

_SERVER = """
SELECT pg_is_in_recovery(),
       current_setting('server_version_num')::int / 10000,
       (SELECT system_identifier::text FROM pg_control_system()),
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
       CASE WHEN pg_is_in_recovery()
            THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                          (SELECT timeline_id FROM pg_control_checkpoint()))
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0')::bigint,
       (pg_last_wal_receive_lsn() - '0/0')::bigint,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
       (SELECT status FROM pg_stat_wal_receiver),
       (SELECT slot_name FROM pg_stat_wal_receiver),
       (SELECT conninfo FROM pg_stat_wal_receiver),
       (SELECT setting::bigint FROM pg_settings WHERE name = 'recovery_min_apply_delay'),
       (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
       current_setting('cluster_name'),
       current_setting('synchronous_standby_names'),
       current_setting('synchronous_commit'),
       (SELECT sender_host FROM pg_stat_wal_receiver),
       (SELECT sender_port FROM pg_stat_wal_receiver),
       (SELECT extract(epoch FROM clock_timestamp() - last_msg_receipt_time)::float8 FROM pg_stat_wal_receiver),
       (SELECT setting FROM pg_settings WHERE name = 'primary_conninfo')
"""
_HERE = (
    "CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
    " ELSE pg_current_wal_lsn() END"
)
# The pieces are constants of this file.
_STANDBYS = f"""
SELECT r.pid, r.application_name, host(r.client_addr), coalesce(r.state, ''), coalesce(r.sync_state, ''),
       ({_HERE} - r.replay_lsn)::bigint, ({_HERE} - r.flush_lsn)::bigint,
       extract(epoch FROM clock_timestamp() - r.reply_time)::float8,
       extract(epoch FROM clock_timestamp() - r.backend_start)::float8, s.slot_name
FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid ORDER BY r.pid
"""  # noqa: S608
_SLOTS = f"""
SELECT slot_name, slot_type, active, temporary, restart_lsn IS NOT NULL, wal_status,
       ({_HERE} - restart_lsn)::bigint
FROM pg_replication_slots ORDER BY slot_name
"""  # noqa: S608


def read_server(cluster: Cluster, node: Node) -> Server:
    """Query one node about itself; if that fails, the reason is part of the value."""
    try:
        row = cluster.rows(node, _SERVER)[0]
    except CannotTell as unknown:
        return Server(node.name, problem=str(unknown), ours=bool(reach.why_ours_in(str(unknown))))
    return Server(
        node=node.name,
        in_recovery=row[0],
        version=row[1],
        system_identifier=row[2],
        sees_all=row[3],
        timeline=row[4] or 0,
        lsn=row[5] or 0,
        received_lsn=row[6],
        replay_paused=row[7],
        receiver=row[8] or "",
        receiver_slot=row[9] or "",
        receiver_application=_application(row[10]),
        apply_delay=timedelta(milliseconds=row[11] or 0),
        slot_wal_limit_mb=row[12],
        cluster_name=row[13],
        synchronous_standby_names=row[14],
        synchronous_commit=row[15],
        sender=_place(row[16], row[17]),
        heard_s=row[18],
        conninfo=_target(row[19]),
    )


def read_standbys(cluster: Cluster, node: Node) -> tuple[Standby, ...]:
    """Return the standbys that stream from a node. Raises CannotTell."""
    return tuple(
        Standby(r[0], r[1] or "", r[2] or "", r[3], r[4], r[5], r[6], r[7], r[8], r[9] or "")
        for r in cluster.rows(node, _STANDBYS)
    )


def read_slots(cluster: Cluster, node: Node) -> tuple[Slot, ...]:
    """Return a node's replication slots. Raises CannotTell."""
    return tuple(
        Slot(r[0], r[1], r[2], r[3], r[4], r[5] or "", r[6] or 0) for r in cluster.rows(node, _SLOTS)
    )


def _application(conninfo: str | None) -> str:
    """Extract the application name from a receiver's conninfo, in which the server hides the password."""
    return str(_parts(conninfo).get("application_name") or "")


def _target(conninfo: str | None) -> str:
    """Extract host and port from primary_conninfo, and nothing else: it may hold a password."""
    parts = _parts(conninfo)
    return _place(parts.get("host") or parts.get("hostaddr"), parts.get("port") or 5432)


def _place(host: object, port: object) -> str:
    return reach.at(str(host), str(port)) if host else ""


def _parts(conninfo: str | None) -> dict[str, Any]:
    try:
        return psycopg.conninfo.conninfo_to_dict(conninfo or "")
    except psycopg.Error:
        return {}
