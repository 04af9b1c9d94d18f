"""Whether the sessions of a database may write, whatever the gate's own role has set for itself."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from pytest_deploygate.lazy import dataclass

# What ALTER DATABASE and ALTER ROLE set is kept as it was written (`on`, `true`, `yes`), and the most particular counts: for a
# role in a database, for a role, for a database, for all.
_QUERY = b"""
WITH kept AS (
    SELECT s.setrole AS role, s.setdatabase AS database, split_part(c, '=', 2)::bool AS value
    FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c
    WHERE split_part(c, '=', 1) = 'default_transaction_read_only'
        AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
)
SELECT (SELECT value FROM kept WHERE role = 0 AND database <> 0), (SELECT value FROM kept WHERE role = 0 AND database = 0),
    setting = 'on', source, ARRAY(
        SELECT name FROM (
            SELECT DISTINCT ON (r.oid) r.rolname::text AS name, value FROM kept JOIN pg_roles r ON r.oid = kept.role
            WHERE r.rolcanlogin AND r.rolname <> current_user ORDER BY r.oid, database DESC) AS own
        WHERE value ORDER BY name)
FROM pg_settings WHERE name = 'default_transaction_read_only'
"""
#: Sources of pg_settings that are the session's own. They hide what postgresql.conf says.
_OWN = ("user", "database user", "client", "session", "override", "interactive")


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """What keeps sessions from writing.

    `by` is the source (of pg_settings.source) that makes every session read-only, empty if none is known. `hidden`: the gate's
    role has a value of its own, so what the server's configuration says is not known. `roles` are others that may log in and
    are read-only.
    """

    by: str = ""
    hidden: bool = False
    roles: tuple[str, ...] = ()


def for_others(connection: psycopg.Connection[TupleRow]) -> ReadOnly:
    """Ask on a connection that has not set `default_transaction_read_only` itself."""
    of_database, of_all, is_on, source, roles = connection.execute(_QUERY).fetchone() or (None,) * 5
    for value, by in ((of_database, "database"), (of_all, "global")):
        if value is not None:
            return ReadOnly(by if value else "", roles=tuple(roles))
    if source in _OWN:
        return ReadOnly(hidden=True, roles=tuple(roles))
    return ReadOnly(str(source) if is_on else "", roles=tuple(roles or ()))
