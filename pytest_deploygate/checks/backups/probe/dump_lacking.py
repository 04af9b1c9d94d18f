"""Which tables have rows in the database and none in a dump, by the dump's table of contents, without loading it."""

from __future__ import annotations

from pytest_deploygate.checks.backups.probe.dump_listing import Listing
from pytest_deploygate.clients.postgres.cluster import Cluster

_NAMED = 3
# Rows of unlogged tables are lost in a crash, and pg_dump may leave them out. Partitions come with time.
_WITH_ROWS = """
SELECT n.nspname, c.relname, c.oid::bigint, c.relispartition FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND pg_relation_size(c.oid) > 0
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname IS DISTINCT FROM %s
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY pg_relation_size(c.oid) DESC
"""


def lacking(cluster: Cluster, dump: Listing) -> tuple[str, str]:
    """Return what the dump was made without, and what may have been made since; each a sentence or empty. Raises CannotTell.

    A dump names its objects by oid: what is older than its newest one was there. A script names none, so a table that it
    lacks may be younger, unless it has no rows at all.
    """
    rows = cluster.rows(cluster.primary, _WITH_ROWS, (cluster.writes_schema,))
    missing = [
        (f"{schema}.{name}", oid, partition)
        for schema, name, oid, partition in rows
        if not dump.has_rows_of(schema, name, oid)
    ]
    nothing = bool(rows) and len(missing) == len(rows)
    if dump.newest is not None or nothing:
        names = [name for name, oid, _ in missing if nothing or oid <= (dump.newest or 0)]
        return _said("has no rows of", names), ""
    return "", _said("does not name", [name for name, _, partition in missing if not partition])


def _said(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"it {what} {', '.join(names[:_NAMED])}{more}, which the database has rows of"
