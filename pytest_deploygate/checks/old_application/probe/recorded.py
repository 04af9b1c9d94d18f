"""The statements of roles, from pg_stat_statements."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from pytest_deploygate.checks.old_application.facts import Recorded
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: More different statements than this are not tried; the most frequent ones are.
_MOST = 3000
_EXTENSION = """SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements'"""
#: `toplevel` is there since version 1.9 of the extension: statements within functions are the functions', not the client's.
_STATEMENTS = """SELECT s.query, sum(s.calls)::bigint FROM {statements} s JOIN pg_roles r ON r.oid = s.userid
    WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND r.rolname = ANY(%s)
    AND coalesce((to_jsonb(s) ->> 'toplevel')::bool, true) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s"""
_INFO = "SELECT stats_reset, dealloc FROM {info}"
_HIDDEN = "<insufficient privilege>"


@dataclass(frozen=True)
class Texts:
    """Statements and how often each was called, the most frequent first."""

    recorded: Recorded
    texts: tuple[tuple[str, int], ...]


def read(cluster: Cluster, roles: Sequence[str]) -> Texts:
    """Read the statements. Raises CannotTell."""
    node = cluster.primary
    where = f"pg_stat_statements of {cluster.settings.name} on {node.host}:{node.port}"
    schema = cluster.value(node, _EXTENSION)
    if schema is None:
        raise CannotTell(
            f"{where} is not there: CREATE EXTENSION pg_stat_statements in the database {cluster.settings.name}, where the "
            "old application's statements are recorded"
        )

    def view(name: str) -> sql.Identifier:
        return sql.Identifier(str(schema), name)

    query = sql.SQL(_STATEMENTS).format(statements=view("pg_stat_statements"))
    rows = cluster.rows(node, query, (list(roles), _MOST + 1))
    now = cluster.value(node, "SELECT clock_timestamp()")
    since, evicted = None, None
    try:
        info = cluster.rows(node, sql.SQL(_INFO).format(info=view("pg_stat_statements_info")))
        since, evicted = info[0] if info else (None, None)
    except CannotTell as unknown:  # PostgreSQL 13 has no such view
        if not isinstance(unknown.__cause__, psycopg.errors.UndefinedTable):
            raise
    cut, rows = len(rows) > _MOST, rows[:_MOST]
    texts = [(str(text), int(calls)) for text, calls in rows if text is not None and text != _HIDDEN]
    hidden = len(rows) - len(texts)
    recorded = Recorded(where, len(rows), hidden, since, now, evicted, cut)
    return Texts(recorded, tuple(texts))
