"""Verify with amcheck that B-tree indexes are in the order of their definition."""

from __future__ import annotations

import time

import psycopg
from psycopg import sql

from pytest_deploygate.checks.structure.facts import Amcheck
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, words_for_bytes

BUDGET_S = 60.0
_CORRUPTION = ("XX001", "XX002")  # data_corrupted, index_corrupted


_EXTENSION = """
SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'
"""
_BTREES = """
SELECT c.oid::int8, n.nspname || '.' || c.relname, pg_relation_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relkind = 'i' AND a.amname = 'btree' AND i.indisvalid AND i.indisready AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY 3, 2
"""


def verify_indexes(cluster: Cluster, max_size: int, budget_s: float = BUDGET_S) -> Amcheck:
    """Check every valid B-tree up to `max_size` bytes with bt_index_check, small ones first, within `budget_s`.

    Raises CannotTell, with the statements to run, if the extension is missing or may not be used.
    """
    primary = cluster.primary
    schema = cluster.value(primary, _EXTENSION)
    grant = (
        f"GRANT EXECUTE ON FUNCTION {schema or 'public'}.bt_index_check(regclass) TO {cluster.settings.user}"
    )
    if schema is None:
        raise CannotTell(
            f"amcheck is not installed in the database {cluster.settings.name}: CREATE EXTENSION amcheck; {grant}; "
            "or set indexes.amcheck: false, which the report lists"
        )
    check = sql.SQL("SELECT {}.bt_index_check(%s::oid::regclass)").format(sql.Identifier(schema))
    started = time.monotonic()
    corrupt: dict[str, str] = {}
    left_out: dict[str, str] = {}
    unchecked: dict[str, str] = {}
    checked = 0
    for oid, name, size in cluster.rows(primary, _BTREES):
        if size > max_size:
            left_out[name] = f"{words_for_bytes(size)}, amcheck_max_size is {words_for_bytes(max_size)}"
            continue
        if time.monotonic() - started > budget_s:
            unchecked[name] = f"the {budget_s:.0f} s for amcheck were used up"
            continue
        try:
            cluster.rows(primary, check, (oid,))
            checked += 1
        except CannotTell as unknown:
            cause = unknown.__cause__
            if isinstance(cause, psycopg.Error) and cause.sqlstate in _CORRUPTION:
                checked += 1
                corrupt[name] = str(cause).splitlines()[0]
            elif isinstance(cause, psycopg.errors.InsufficientPrivilege) and not checked:
                raise CannotTell(f"amcheck may not be used by {cluster.settings.user}: {grant}") from cause
            elif cluster.value(primary, "SELECT EXISTS (SELECT FROM pg_class WHERE oid = %s)", (oid,)):
                unchecked[name] = str(unknown)
            # Otherwise the index has been dropped since it was listed: ignore it.
    return Amcheck(checked, corrupt, left_out, unchecked, round(time.monotonic() - started, 3))
