"""Faults of how the servers are set, and of what makes slow statements visible."""

from __future__ import annotations

from pytest_deploygate.lab import nodes, processes, sql
from pytest_deploygate.lab.faults import Change, Fault, by_sql
from pytest_deploygate.lab.state import Lab

_SCOPE = "preflight and database"


def _set(setting: str, value: str) -> Change:
    return by_sql(f"ALTER SYSTEM SET {setting} = '{value}'", "SELECT pg_reload_conf()")


def _reset(setting: str) -> Change:
    return by_sql(f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()")


def _checksums(how: str) -> Change:
    """Return a change that stops db3 and rewrites its pages with or without checksums, as an administrator would."""

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
    "fsync is off on db1: somebody wanted a faster import and forgot",
    {"db.cluster": "fail"},
    _set("fsync", "off"),
    _reset("fsync"),
    says="fsync is off",
    scope=_SCOPE,
)
PENDING = Fault(
    "cluster-restart-pending",
    "max_connections was changed on db1 without the restart that it needs",
    {"db.cluster": "fail"},
    _set("max_connections", "61"),
    _reset("max_connections"),
    says="waits for a restart",
    scope=_SCOPE,
)
CHECKSUMS = Fault(
    "cluster-checksums-off",
    "db3 has no data checksums",
    {"db.cluster": "fail"},
    _checksums("--disable"),
    _checksums("--enable"),
    says="pg_checksums --enable",
    scope=_SCOPE,
)
EXTENSION = Fault(
    "statements-extension-missing",
    "the extension pg_stat_statements is missing in the platform's database",
    {"db.monitoring-queries": "fail", "db.cluster": "fail", "stab.slow-queries": "inconclusive"},
    by_sql("DROP EXTENSION IF EXISTS pg_stat_statements"),
    by_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements"),
    says="CREATE EXTENSION pg_stat_statements",
    scope="preflight and database or stabilization",
)
OLD_EXTENSION = Fault(
    "cluster-extension-old",
    "pg_stat_statements is in an old version: nobody ran ALTER EXTENSION … UPDATE after the server's upgrade",
    {"db.cluster": "fail"},
    by_sql("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements VERSION '1.9'"),
    by_sql("ALTER EXTENSION pg_stat_statements UPDATE"),
    says="pg_stat_statements is at 1.9, expected newest",
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
)
