"""Faults of the servers: settings, statements, caches, leftovers of a load, and wrong data."""

from __future__ import annotations

from pytest_deploygate.lab import disturbance, nodes, processes, seed, sql
from pytest_deploygate.lab.faults import Change, Fault, by_sql
from pytest_deploygate.lab.services import source
from pytest_deploygate.lab.state import PRIMARY, Lab

_SCOPE = "preflight and database"
_WITH_SECURITY = "preflight and (database or security)"
#: Longer than `max_idle_in_transaction` of the lab's inventory.
_IDLE_S = 16.0
_IDLE = (
    "SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity"
    " WHERE state = 'idle in transaction' AND application_name = 'platform'"
)


def _set(setting: str, value: str) -> Change:
    return by_sql(f"ALTER SYSTEM SET {setting} = '{value}'", "SELECT pg_reload_conf()")


def _reset(setting: str) -> Change:
    return by_sql(f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()")


def login_rules(more: str = "") -> Change:
    """Return a change that writes pg_hba.conf of db1, with more lines at its end, and reloads it."""

    def change(lab: Lab) -> None:
        nodes.put(lab, lab.data(PRIMARY) / "pg_hba.conf", nodes.LOGIN_RULES + more)
        sql.execute(lab, "SELECT pg_reload_conf()")

    return change


def _oldest_idle_s(lab: Lab) -> float:
    return float(sql.value(lab, _IDLE) or 0.0)


def _keep_transaction(lab: Lab) -> None:
    disturbance.write(lab, {"app1": {"keeps_transaction": True}})
    sql.wait_until(
        "a session that is idle in a transaction for long enough", lambda: _oldest_idle_s(lab) > _IDLE_S, 60.0
    )


def _end_transaction(lab: Lab) -> None:
    disturbance.end(lab)
    sql.wait_until("end of the session that is idle in a transaction", lambda: not _oldest_idle_s(lab))


def _checksums(how: str) -> Change:
    """Return a change that stops db3 and switches its checksums, as an administrator would."""

    def change(lab: Lab) -> None:
        nodes.stop(lab, "db3")
        state = processes.run([lab.tool("pg_controldata"), str(lab.data("db3"))], user=lab.user)
        on = "Data page checksum version:           0" not in state
        if on is not (how == "--enable"):
            processes.run([lab.tool("pg_checksums"), how, "-D", str(lab.data("db3"))], user=lab.user)
        nodes.start(lab, "db3")
        sql.wait_streaming(lab)

    return change


FSYNC = Fault(
    "cluster-fsync-off",
    "fsync is off on db1, forgotten after an import",
    {"db.cluster": "fail"},
    _set("fsync", "off"),
    _reset("fsync"),
    says="fsync is off",
    tests=("test_server_is_set_right",),
    scope=_SCOPE,
)
PENDING = Fault(
    "cluster-restart-pending",
    "max_connections was changed on db1 without the required restart",
    {"db.cluster": "fail"},
    _set("max_connections", "61"),
    _reset("max_connections"),
    says="waits for a restart",
    tests=("test_server_is_set_right",),
    scope=_SCOPE,
)
TRUST = Fault(
    "pg-hba-trust",
    "pg_hba.conf of db1 lets a private network in without a password",
    {"db.cluster": "fail", "sec.secrets": "fail"},
    login_rules("host all all 10.0.0.0/8 trust\n"),
    login_rules(),
    says="pg_hba.conf line 6 lets all from 10.0.0.0/8 into all without a password",
    tests=("test_server_is_set_right", "test_database_asks_for_passwords"),
    scope=_WITH_SECURITY,
)
HIDDEN_RULES = Fault(
    "pg-hba-hidden",
    "the gate's role may not see pg_hba.conf",
    {"db.cluster": "inconclusive", "sec.secrets": "inconclusive"},
    by_sql("REVOKE EXECUTE ON FUNCTION pg_hba_file_rules() FROM deploygate"),
    by_sql("GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO deploygate"),
    says="GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO deploygate",
    tests=("test_server_is_set_right", "test_database_asks_for_passwords"),
    scope=_WITH_SECURITY,
)
IDLE = Fault(
    "idle-in-transaction",
    "a session of the application opened a transaction on db1 and does not end it",
    {"db.cluster": "fail"},
    _keep_transaction,
    _end_transaction,
    says="of platform_app (platform) is idle in a transaction",
    tests=("test_server_is_set_right",),
    scope=_SCOPE,
)
CHECKSUMS = Fault(
    "cluster-checksums-off",
    "db3 has no data checksums",
    {"db.cluster": "fail"},
    _checksums("--disable"),
    _checksums("--enable"),
    says="pg_checksums --enable",
    tests=("test_server_is_set_right",),
    scope=_SCOPE,
)
EXTENSION = Fault(
    "statements-extension-missing",
    "the extension pg_stat_statements is missing in the platform's database",
    {"db.monitoring-queries": "fail", "db.cluster": "fail", "stab.slow-queries": "inconclusive"},
    by_sql("DROP EXTENSION IF EXISTS pg_stat_statements"),
    by_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements"),
    says="CREATE EXTENSION pg_stat_statements",
    tests=("test_server_is_set_right", "test_slow_statements_are_seen"),
    scope="preflight and database or stabilization",
)
OLD_EXTENSION = Fault(
    "cluster-extension-old",
    "pg_stat_statements has an old version: ALTER EXTENSION … UPDATE was not run after the server's upgrade",
    {"db.cluster": "fail"},
    by_sql("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements VERSION '1.9'"),
    by_sql("ALTER EXTENSION pg_stat_statements UPDATE"),
    says="pg_stat_statements is at 1.9, expected newest",
    tests=("test_server_is_set_right",),
    scope=_SCOPE,
)
SLOW_LOG = Fault(
    "slow-log-off",
    "slow statements are no longer logged on db1",
    {"db.monitoring-queries": "fail"},
    _set("log_min_duration_statement", "-1"),
    _reset("log_min_duration_statement"),
    says="log_min_duration_statement",
    scope=_SCOPE,
    tests=("test_slow_statements_are_seen",),
)

_COLD = "deploygate.lab_cold"
_FORGET = "SELECT pg_stat_statements_reset(userid, dbid, queryid) FROM pg_stat_statements WHERE query LIKE '%lab: slow%'"


def _be_slow(lab: Lab) -> None:
    with sql.connect(lab, role="platform_app") as connection:
        for _ in range(6):
            connection.execute("SELECT /* lab: slow */ pg_sleep(0.45)")


def _forget_statements(lab: Lab) -> None:
    sql.execute(lab, "SELECT pg_stat_statements_reset()")


def _cool_down(lab: Lab) -> None:
    """Read a table larger than a quarter of shared_buffers repeatedly: PostgreSQL does not cache such a scan."""
    sql.execute(
        lab,
        f"CREATE UNLOGGED TABLE {_COLD} AS SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 40000) AS n",
        "SELECT pg_stat_reset()",
        *[f"SELECT count(*) FROM {_COLD}"] * 12,
    )


def _warm_up(lab: Lab) -> None:
    sql.execute(lab, f"DROP TABLE IF EXISTS {_COLD}", "SELECT pg_stat_reset()")
    seed.work(lab)


SLOW_STATEMENT = Fault(
    "statement-slow",
    "one statement of the platform takes half a second each time",
    {"stab.slow-queries": "fail"},
    _be_slow,
    by_sql(_FORGET),
    says="pg_sleep",
    scope="stabilization",
)
STATEMENTS_RESET = Fault(
    "statements-reset",
    "the statistics of statements were reset a moment ago",
    {"stab.slow-queries": "inconclusive"},
    _forget_statements,
    seed.work,
    says="holds no statement",
    scope="stabilization",
)
COLD = Fault(
    "cache-cold",
    "most of what db1 reads is not in its buffers",
    {"stab.caching": "fail"},
    _cool_down,
    _warm_up,
    says="shared_buffers",
    scope="stabilization",
)
BEHIND = Fault(
    "sequence-behind",
    "the sequence of platform.messages.id is behind its rows, as after a load with explicit ids",
    {"guard.after-load": "fail"},
    by_sql("SELECT setval('platform.messages_id_seq', 5)"),
    by_sql("SELECT setval('platform.messages_id_seq', (SELECT max(id) FROM platform.messages))"),
    says="setval",
    scope="phase4 and guard",
)
NEAR_MAX = Fault(
    "sequence-near-max",
    "the sequence of platform.machines.id has used up nine tenths of its range",
    {"guard.after-load": "fail"},
    by_sql("SELECT setval('platform.machines_id_seq', 2000000000)"),
    by_sql("SELECT setval('platform.machines_id_seq', 12)"),
    says="machines_id_seq",
    scope="phase4 and guard",
)
NOT_VALID = Fault(
    "constraint-not-valid",
    "a check of platform.alerts was added again after the load and never validated",
    {"guard.after-load": "fail", "phase2.tables": "fail"},
    by_sql(
        "ALTER TABLE platform.alerts DROP CONSTRAINT alerts_acknowledged_at_check,"
        " ADD CONSTRAINT alerts_acknowledged_at_check CHECK (acknowledged_at >= raised_at) NOT VALID"
    ),
    by_sql("ALTER TABLE platform.alerts VALIDATE CONSTRAINT alerts_acknowledged_at_check"),
    says="alerts_acknowledged_at_check",
    tests=("test_table_structure",),
    scope="phase2 or phase4 and guard",
)

_VALIDATION = {"phase2.validation": "fail"}
_NOBODY = 9001


def _reopen_alerts(lab: Lab) -> None:
    sql.execute(
        lab,
        "CREATE TABLE deploygate.lab_alerts AS SELECT id, acknowledged_at, acknowledged_by FROM platform.alerts"
        " WHERE acknowledged_at IS NOT NULL AND id % 2 = 0",
        "UPDATE platform.alerts a SET acknowledged_at = NULL, acknowledged_by = NULL FROM deploygate.lab_alerts b"
        " WHERE b.id = a.id",
    )


def _close_alerts(lab: Lab) -> None:
    if sql.value(lab, "SELECT to_regclass('deploygate.lab_alerts') IS NOT NULL"):
        sql.execute(
            lab,
            "UPDATE platform.alerts a SET acknowledged_at = b.acknowledged_at, acknowledged_by = b.acknowledged_by"
            " FROM deploygate.lab_alerts b WHERE b.id = a.id",
            "DROP TABLE deploygate.lab_alerts",
        )
        # Most rows were written after the last ANALYZE, which guard.after-load reports as a leftover of a load.
        sql.analyze(lab, "platform.alerts")


def _orphan(lab: Lab) -> None:
    """Add alerts of a missing sensor, bypassing the foreign key, as a careless bulk load does."""
    with sql.connect(lab) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "INSERT INTO platform.alerts (id, sensor_id, raised_at, value, severity)"
            f" SELECT {_NOBODY} + n, {_NOBODY}, now(), 99, 'warning' FROM generate_series(1, 2) AS n".encode()
        )


OUT_OF_RANGE = Fault(
    "validation-out-of-range",
    "half of the alerts are open, where at most a quarter may be",
    _VALIDATION,
    _reopen_alerts,
    _close_alerts,
    says="0.25",
)
WRONG_VALUE = Fault(
    "validation-wrong-value",
    "one machine fewer than expected is in service",
    _VALIDATION,
    by_sql("UPDATE platform.machines SET status = 'retired' WHERE id = 3"),
    by_sql("UPDATE platform.machines SET status = 'active' WHERE id = 3"),
    says="11",
)
ORPHANS = Fault(
    "validation-orphans",
    "two alerts belong to a sensor that does not exist",
    # They have explicit ids, which the sequence has yet to reach.
    {**_VALIDATION, "guard.after-load": "fail"},
    _orphan,
    by_sql(f"DELETE FROM platform.alerts WHERE sensor_id = {_NOBODY}"),
    says="row",
    scope="phase2 or phase4 and guard",
)
MIGRATED_BEHIND = Fault(
    "migration-sequence-behind",
    "rows were migrated with their ids, and the target's sequence still stands where it began: the next insert fails",
    # Whatever fails in the phase has an entry in the issue log, or is not documented.
    {"guard.after-load": "fail", "phase4.discrepancies": "fail"},
    lambda lab: source.on_target(lab, "SELECT setval('plant.machines_id_seq', 1, false)"),
    lambda lab: source.on_target(lab, "SELECT setval('plant.machines_id_seq', 60)"),
    says="plant.machines_id_seq",
    needs=(source.NAME,),
    inventory="lab-migration",
)
