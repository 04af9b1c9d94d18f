"""Faults of replication, on real servers."""

from __future__ import annotations

import os
import signal

from pytest_deploygate.lab import client, cluster, drilling, nodes, processes, sql
from pytest_deploygate.lab.faults import Change, Fault, by_sql, keep_aside, put_back
from pytest_deploygate.lab.state import PRIMARY, Lab, LabError

_ITEMS = {"phase2.replication": "fail", "db.replication": "fail"}
_SCOPE = "phase2 or preflight and database"
_LEFT_OVER = "db4"
_PROMOTE = "pg_promote(boolean, integer)"
_TABLE = "deploygate.deploygate_replication"


def _freeze_receiver(lab: Lab) -> None:
    pid = sql.value(lab, "SELECT pid FROM pg_stat_wal_receiver", node="db3")
    if pid is None:
        raise LabError("db3 has no WAL receiver to freeze")
    os.kill(pid, signal.SIGSTOP)


def _thaw_receiver(lab: Lab) -> None:
    processes.wake_family(client.status(lab.folder)["servers"]["db3"]["pid"])


def _setting(node: str, setting: str, value: str | None) -> Change:
    """Return a change of one setting by ALTER SYSTEM and a reload; None resets it."""
    change = f"RESET {setting}" if value is None else f"SET {setting} = '{value}'"
    return lambda lab: sql.execute(lab, f"ALTER SYSTEM {change}", "SELECT pg_reload_conf()", node=node)


def _heal_setting(node: str, setting: str) -> Change:
    def heal(lab: Lab) -> None:
        _setting(node, setting, None)(lab)
        sql.wait_streaming(lab)

    return heal


def _leave_slot(lab: Lab) -> None:
    sql.execute(lab, f"SELECT pg_create_physical_replication_slot('{_LEFT_OVER}', true)")


def _drop_slot(lab: Lab) -> None:
    sql.execute(
        lab,
        f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{_LEFT_OVER}'",
    )


def _hide_rows(lab: Lab) -> None:
    """Make db3 answer as if it had skipped every 25th row, with a policy that depends on the server it runs on.

    A physical replica cannot be made to skip rows and stay up; to a reader, this is the same.
    """
    with sql.connect(lab, role="deploygate") as connection:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {_TABLE} (run text NOT NULL, id bigint NOT NULL, application text NOT NULL"
            " DEFAULT 'deploygate', written_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
            " PRIMARY KEY (run, id))".encode()
        )
    sql.execute(
        lab,
        f"ALTER TABLE {_TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY skipped ON {_TABLE} USING (current_setting('cluster_name') <> 'db3' OR id % 25 <> 0)"
        " WITH CHECK (true)",
    )


def _show_rows(lab: Lab) -> None:
    if sql.value(lab, f"SELECT to_regclass('{_TABLE}') IS NOT NULL"):
        sql.execute(
            lab,
            f"DROP POLICY IF EXISTS skipped ON {_TABLE}",
            f"ALTER TABLE {_TABLE} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
        )
    sql.wait_streaming(lab)


def _end_second_primary(lab: Lab) -> None:
    """Reset the lab: db3 has archived a timeline of its own, which would mislead a restore."""
    if not nodes.in_recovery(lab, "db3"):
        cluster.reset(lab)


def _drill_without_promotion(lab: Lab) -> None:
    """Revoke the right to promote, and run the drill: db1 is stopped, and no replica can take over."""
    keep_aside(lab.failover_record)
    sql.execute(lab, f"REVOKE EXECUTE ON FUNCTION {_PROMOTE} FROM deploygate")
    sql.wait_streaming(lab)
    outcome = drilling.fail_over_database(lab)
    nodes.start(lab, PRIMARY)
    sql.wait_streaming(lab)
    cluster.catch_up(lab)
    if outcome != "not_promoted":
        raise LabError(f"the drill ended as {outcome} although its role may not promote")


def _allow_promotion(lab: Lab) -> None:
    sql.execute(lab, f"GRANT EXECUTE ON FUNCTION {_PROMOTE} TO deploygate")
    put_back(lab.failover_record)


def _start(name: str) -> Change:
    def start(lab: Lab) -> None:
        nodes.start(lab, name)
        sql.wait_streaming(lab)

    return start


STOPPED = Fault(
    "replica-stopped",
    "db3 is down",
    # A node that is down cannot be asked: its schema version is unknown, too.
    {**_ITEMS, "phase2.migrations": "inconclusive", "db.cluster": "inconclusive"},
    lambda lab: nodes.stop(lab, "db3"),
    _start("db3"),
    says="db3",
    tests=(
        "test_server_is_set_right",
        "test_one_primary",
        "test_replica_streams",
        "test_acknowledged_writes_arrive",
    ),
    scope=_SCOPE,
)
FROZEN = Fault(
    "receiver-frozen",
    "db3's WAL receiver is frozen (SIGSTOP): the primary still shows it as streaming",
    _ITEMS,
    _freeze_receiver,
    _thaw_receiver,
    says="db3",
    tests=(
        "test_replica_streams",
        "test_acknowledged_writes_arrive",
    ),
    scope=_SCOPE,
)
PAUSED = Fault(
    "replay-paused",
    "replay is paused on db2: it receives all changes and shows none",
    # The sweep for a person needs a replica that shows new rows.
    {**_ITEMS, "comp.erasure": "inconclusive"},
    by_sql("SELECT pg_wal_replay_pause()", node="db2"),
    by_sql("SELECT pg_wal_replay_resume()", node="db2"),
    says="pg_wal_replay_resume",
    tests=(
        "test_replica_streams",
        "test_acknowledged_writes_arrive",
    ),
    scope="phase2 or preflight and (database or compliance)",
)
SLOT = Fault(
    "slot-inactive",
    "the slot of a removed replica retains WAL on the primary",
    _ITEMS,
    _leave_slot,
    _drop_slot,
    says="slot",
    tests=("test_one_primary",),
    scope=_SCOPE,
)
SLOTLESS = Fault(
    "replica-without-slot",
    "db2 streams without its slot, which retains WAL meanwhile",
    _ITEMS,
    _setting("db2", "primary_slot_name", ""),
    _heal_setting("db2", "primary_slot_name"),
    says="primary_slot_name",
    tests=("test_replica_streams",),
    scope=_SCOPE,
)
UNBOUNDED = Fault(
    "slot-wal-unbounded",
    "slots may retain WAL until the disk is full: max_slot_wal_keep_size is -1",
    _ITEMS,
    _setting(PRIMARY, "max_slot_wal_keep_size", "-1"),
    _heal_setting(PRIMARY, "max_slot_wal_keep_size"),
    says="max_slot_wal_keep_size",
    tests=("test_one_primary",),
    scope=_SCOPE,
)
ASYNCHRONOUS = Fault(
    "replication-asynchronous",
    "commits no longer wait for a replica: a crash of db1 loses acknowledged writes",
    _ITEMS,
    _setting(PRIMARY, "synchronous_standby_names", ""),
    _heal_setting(PRIMARY, "synchronous_standby_names"),
    says="commits",
    tests=("test_one_primary",),
    scope=_SCOPE,
)
TWO_PRIMARIES = Fault(
    "two-primaries",
    "db3 was promoted while db1 is still running: both accept writes",
    _ITEMS,
    lambda lab: nodes.promote(lab, "db3"),
    _end_second_primary,
    says="2 nodes take writes",
    tests=(
        "test_one_primary",
        "test_replica_streams",
    ),
    scope=_SCOPE,
)
DELAYED = Fault(
    "replica-lags-under-load",
    "db3 applies everything a minute late (recovery_min_apply_delay), which nobody declared",
    _ITEMS,
    _setting("db3", "recovery_min_apply_delay", "1min"),
    _heal_setting("db3", "recovery_min_apply_delay"),
    says="recovery_min_apply_delay",
    tests=(
        "test_replica_streams",
        "test_acknowledged_writes_arrive",
    ),
    scope=_SCOPE,
)
SKIPS = Fault(
    "replica-skips-rows",
    "db3 lacks every 25th of the rows that the gate writes",
    {"phase2.replication": "fail"},
    _hide_rows,
    _show_rows,
    says="acknowledged",
    tests=("test_acknowledged_writes_arrive",),
    scope=_SCOPE,
)
DRILL_FAILED = Fault(
    "failover-drill-failed",
    "no replica took over in the last failover drill: the gate's role may no longer promote",
    {"phase2.replication": "fail"},
    _drill_without_promotion,
    _allow_promotion,
    says="permission denied for function pg_promote",
    tests=("test_failover_drill",),
)
