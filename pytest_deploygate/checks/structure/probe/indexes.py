"""Read all indexes of the database and their state."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.checks.structure.facts import Indexes, IndexState
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.one_moment import Ask, one_moment
from pytest_deploygate.clients.remembered import once

# Expressions are compared as text: the stored trees contain their position in the statement.
_STATES = """
SELECT n.nspname || '.' || c.relname, tn.nspname || '.' || t.relname, pg_get_indexdef(i.indexrelid),
  i.indisvalid, i.indisready, i.indislive,
  concat_ws(' | ', i.indrelid::text, i.indkey::text, i.indnkeyatts::text, i.indclass::text, i.indcollation::text,
    i.indoption::text, i.indisunique::text, c.relam::text, 'expressions ' || pg_get_expr(i.indexprs, i.indrelid),
    'where ' || pg_get_expr(i.indpred, i.indrelid)),
  (SELECT pn.nspname || '.' || pc.relname FROM pg_inherits h JOIN pg_class pc ON pc.oid = h.inhparent
   JOIN pg_namespace pn ON pn.oid = pc.relnamespace WHERE h.inhrelid = c.oid),
  (SELECT string_agg(DISTINCT o.collname, ', ') FROM pg_depend d JOIN pg_collation o ON o.oid = d.refobjid
   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_collation'::regclass
     AND o.collversion <> pg_collation_actual_version(o.oid)),
  t.relispartition,
  (SELECT o.conname FROM pg_constraint o
   WHERE o.conindid = c.oid AND o.conrelid = t.oid AND o.contype IN ('p', 'u', 'x') LIMIT 1),
  EXISTS (SELECT FROM pg_stat_progress_create_index b WHERE b.index_relid = c.oid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_namespace tn ON tn.oid = t.relnamespace
WHERE n.nspname !~ '^pg_(toast_)?temp_' AND (
  n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  OR NOT (i.indisvalid AND i.indisready AND i.indislive))
ORDER BY 1
"""
_DATABASE_COLLATION = """
SELECT datcollversion, pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = current_database()
"""


def index_states(cluster: Cluster) -> Indexes:
    """Return every index of the primary, read once per session. Raises CannotTell."""
    return once(cluster, "indexes", lambda: _states(cluster))


def _states(cluster: Cluster) -> Indexes:
    # The same search_path as for the snapshot: it decides how definitions name operator classes and functions.
    with one_moment(cluster, cluster.primary, search_path="pg_catalog") as ask:
        return Indexes(tuple(IndexState(*row) for row in ask(_STATES)), _stale_collation(ask))


def _stale_collation(ask: Ask) -> str | None:
    if int(ask("SHOW server_version_num")[0][0]) < 150000:
        return None  # older servers do not record it
    made, now = ask(_DATABASE_COLLATION)[0]
    if made is None or now is None or made == now:
        return None
    return f"created with version {made}, the library has {now}"


def topmost(name: str, parents: Mapping[str, str | None]) -> str:
    """Return the partitioned table's index that a partition's index belongs to, or the name itself."""
    while parent := parents.get(name):
        name = parent
    return name
