"""Read pg_stat_statements: whether it counts, what it holds, and whether slow statements are logged."""

from __future__ import annotations

from datetime import datetime

import psycopg

from pytest_deploygate.checks.postgres.facts import MonitoringFacts, Statement, StatementFacts
from pytest_deploygate.checks.postgres.probe import servers
from pytest_deploygate.checks.postgres.section.statements import Statements
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.remembered import once
from pytest_deploygate.model import CannotTell

#: A statement that nobody else sends. Its structure is unusual, too: statements of the same structure are counted
#: under the text of the first one, and names are not part of the structure.
_MARK = (
    "SELECT /* deploygate: does pg_stat_statements count? */ count(*)"
    " FROM (VALUES (1), (2), (3)) AS marks (mark) WHERE mark IN (1, 2) AND mark <> 2"
)
_CALLS = """
SELECT coalesce(sum(calls), 0)::int8 FROM {schema}.pg_stat_statements
WHERE query LIKE 'SELECT /* deploygate: does pg_stat_statements count?%%'
"""
_MOST = 2000


# What ALTER ROLE and ALTER DATABASE set for sessions of this database.
_OWN_SETTINGS = """
SELECT coalesce('role ' || r.rolname, 'database ' || d.datname) ||
    CASE WHEN s.setdatabase <> 0 AND s.setrole <> 0 THEN ' in database ' || d.datname ELSE '' END, setting
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
CROSS JOIN unnest(s.setconfig) AS setting
WHERE (s.setdatabase = 0 OR d.datname = current_database())
    AND split_part(setting, '=', 1) IN ('pg_stat_statements.track', 'log_min_duration_statement', 'log_min_messages',
        'auto_explain.log_min_duration')
ORDER BY 1, 2
"""


def monitoring(cluster: Cluster) -> MonitoringFacts:
    """Read what makes slow statements visible on the primary. Raises CannotTell."""
    state = servers.server_state(cluster, cluster.primary)
    preload = state.settings.get("shared_preload_libraries")
    loaded = None if preload is None else "pg_stat_statements" in preload
    # Its settings exist only if it is loaded.
    loaded = True if "pg_stat_statements.track" in state.settings else loaded
    schema = _schema(cluster)
    counted, problem = _counting(cluster, schema) if schema and loaded is not False else (None, "")
    return MonitoringFacts(
        node=state.node,
        loaded=loaded,
        installed=bool(schema),
        schema=schema,
        track=state.settings.get("pg_stat_statements.track") or "",
        counted=counted,
        slow_log_ms=int(state.settings.get("log_min_duration_statement") or -1),
        explain_ms=int(state.settings.get("auto_explain.log_min_duration") or -1),
        problem=problem,
        own_settings=tuple(
            (str(who), str(setting)) for who, setting in cluster.rows(cluster.primary, _OWN_SETTINGS)
        ),
    )


def _schema(cluster: Cluster) -> str:
    found = cluster.value(
        cluster.primary,
        "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'pg_stat_statements'",
    )
    return str(found or "")


def _counting(cluster: Cluster, schema: str) -> tuple[int | None, str]:
    calls = _CALLS.format(schema=schema).replace("%%", "%")
    try:
        before = int(cluster.value(cluster.primary, calls))
        for _ in range(2):
            cluster.rows(cluster.primary, _MARK)
        return int(cluster.value(cluster.primary, calls)) - before, ""
    except CannotTell as unknown:
        return None, str(unknown)


def counted_statements(cluster: Cluster, bounds: Statements) -> StatementFacts:
    """Read the statements of this database on the primary. Raises CannotTell if the view does not exist."""
    return once(cluster, "statements", lambda: _statements(cluster, bounds))


def _statements(cluster: Cluster, bounds: Statements) -> StatementFacts:
    schema = _schema(cluster)
    node = cluster.primary
    if not schema:
        raise CannotTell(
            f"{node.name} has no pg_stat_statements in database {cluster.settings.name}: add it to "
            "shared_preload_libraries, restart, CREATE EXTENSION pg_stat_statements"
        )
    # The time columns have had these names since 13.
    query = f"""
SELECT s.queryid, coalesce(r.rolname, '?'), s.query, s.calls, s.mean_exec_time, s.stddev_exec_time, s.max_exec_time,
       s.total_exec_time
FROM {schema}.pg_stat_statements s LEFT JOIN pg_roles r ON r.oid = s.userid
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY s.calls >= %(calls)s DESC, s.mean_exec_time DESC LIMIT {_MOST}
"""  # noqa: S608 (a quoted identifier and constants)
    rows = cluster.rows(node, query, {"calls": bounds.min_calls})
    seen = [row for row in rows if row[0] is not None and row[2] != "<insufficient privilege>"]
    since, evicted = _reset(cluster, schema)
    now = cluster.value(node, "SELECT clock_timestamp()")
    return StatementFacts(
        node.name,
        now,
        since,
        evicted,
        cluster.settings.user,
        len(rows) - len(seen),
        tuple(Statement(*r) for r in seen),
    )


def _reset(cluster: Cluster, schema: str) -> tuple[datetime | None, int]:
    """Return when counting began and how often entries were evicted; version 13 records neither."""
    try:
        rows = cluster.rows(
            cluster.primary,
            f"SELECT stats_reset, dealloc FROM {schema}.pg_stat_statements_info",  # noqa: S608 (a quoted identifier)
        )
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, psycopg.errors.UndefinedTable):
            return None, 0
        raise
    return (rows[0][0], int(rows[0][1])) if rows else (None, 0)
