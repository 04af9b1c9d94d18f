"""The audit trail: an audited operation with its record, and who could change records, read from privileges.

No change of records is attempted: ownership, memberships, grants, partitions and triggers are read instead.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import psycopg

from pytest_deploygate.checks.privacy.facts import Record, RecordFacts, RightsFacts
from pytest_deploygate.checks.privacy.probe.operations import do, new_subject
from pytest_deploygate.checks.privacy.section import AuditTrail
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.clients.postgres.one_moment import one_moment
from pytest_deploygate.model import CannotTell


def audited_operation(cluster: Cluster, wanted: AuditTrail) -> RecordFacts:
    """Perform the audited operation as the application and wait for its record. Raises CannotTell if it fails."""
    subject = new_subject()
    began: datetime = cluster.value(cluster.primary, "SELECT clock_timestamp()")
    do(cluster, wanted.role, wanted.operation, subject)
    try:
        with own_lag.watching() as lag:
            records, waited_s = _wait(cluster, wanted, subject.values(), lag)
    finally:
        undone = _undo(cluster, wanted, subject)
    return RecordFacts(wanted.role.user, began, waited_s, records, undone, lag.since())


def _undo(cluster: Cluster, wanted: AuditTrail, subject: Any) -> str:
    try:
        do(cluster, wanted.role, wanted.undo, subject)
    except CannotTell as unknown:
        return f"{subject.email} is still there: {unknown}"
    return ""


def _wait(
    cluster: Cluster, wanted: AuditTrail, values: dict[str, str], lag: Lag
) -> tuple[tuple[Record, ...], float]:
    started = time.monotonic()
    while True:
        found = _records(cluster, wanted.query, values)
        spent = time.monotonic() - started
        if found or lag.fair_s(started) > min(wanted.patience_s, 120.0):
            return found, spent
        time.sleep(min(0.5, 0.02 + spent / 10))


def _records(cluster: Cluster, query: str, values: dict[str, str]) -> tuple[Record, ...]:
    with cluster.connect(cluster.primary) as connection:
        try:
            cursor = connection.execute(query.encode(), values)
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except psycopg.Error as error:
            raise CannotTell(
                f"the audit trail's `query` failed: {explain(cluster.primary, error)}"
            ) from error
    if lacking := [name for name in ("who", "what", "at", "source") if name not in names]:
        raise CannotTell(
            f"the audit trail's `query` has no column {', '.join(lacking)}; name its columns who, what, at, source"
        )
    return tuple(Record(_text(r["who"]), _text(r["what"]), r["at"], _text(r["source"])) for r in rows)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


_TABLE = """
SELECT c.oid::int8, pg_get_userbyid(c.relowner), n.nspname, pg_get_userbyid(n.nspowner)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)
"""
_ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
# Members of a role can use SET ROLE, inherited or not, so 'MEMBER' counts. Partitions count as part of the table.
_WAYS = """
WITH parts AS (
    SELECT c.oid, n.nspname || '.' || c.relname AS name, c.relowner, c.relnamespace FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = %(table)s OR c.oid IN (SELECT relid FROM pg_partition_tree(%(table)s::oid::regclass))
        OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %(table)s)
), app AS (SELECT oid, rolname, rolsuper FROM pg_roles WHERE rolname = ANY(%(roles)s)),
reach AS (SELECT a.rolname AS app, r.oid, r.rolname FROM app a JOIN pg_roles r ON pg_has_role(a.oid, r.oid, 'MEMBER'))
SELECT app, 'is superuser' || CASE WHEN r.rolname <> app THEN ' by membership in ' || r.rolname ELSE '' END
FROM reach JOIN pg_roles r USING (oid) WHERE r.rolsuper
UNION
SELECT app, 'owns ' || p.name || CASE WHEN reach.rolname <> app THEN ' by membership in ' || reach.rolname ELSE '' END
    || ' (may change, truncate, drop it and switch its triggers off)'
FROM reach JOIN parts p ON p.relowner = reach.oid
UNION
SELECT app, 'owns the schema ' || n.nspname || ' (may drop ' || p.name || ')'
FROM reach JOIN pg_namespace n ON n.nspowner = reach.oid JOIN parts p ON p.relnamespace = n.oid
UNION
SELECT DISTINCT app, 'may ' || k.privilege || ' ' || p.name
    || CASE WHEN reach.rolname <> app THEN ' by membership in ' || reach.rolname ELSE '' END
FROM reach CROSS JOIN parts p CROSS JOIN (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('TRIGGER')) AS k (privilege)
WHERE has_table_privilege(reach.oid, p.oid, k.privilege) AND NOT EXISTS (
    SELECT FROM pg_roles s WHERE s.oid = reach.oid AND s.rolsuper)
UNION
SELECT DISTINCT app, 'may UPDATE columns of ' || p.name FROM reach CROSS JOIN parts p
WHERE has_any_column_privilege(reach.oid, p.oid, 'UPDATE') AND NOT has_table_privilege(reach.oid, p.oid, 'UPDATE')
ORDER BY 1, 2
"""
# A trigger or rule that changes what is written, a foreign key that deletes records with the row they refer to.
_PARTS = """
SELECT 'trigger', t.tgname, p.proname || CASE WHEN t.tgenabled = 'D' THEN ' (off)' ELSE '' END, pg_get_userbyid(p.proowner)
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = %(table)s AND NOT t.tgisinternal AND (t.tgtype & 2) = 2 AND (t.tgtype & 4) = 4
UNION ALL
SELECT 'rule', rulename, ev_type::text, '' FROM pg_rewrite WHERE ev_class = %(table)s AND rulename <> '_RETURN'
UNION ALL
SELECT 'foreign key', conname, confrelid::regclass::text, '' FROM pg_constraint
WHERE conrelid = %(table)s AND contype = 'f' AND confdeltype IN ('c', 'n', 'd')
"""


def audit_rights(cluster: Cluster, wanted: AuditTrail) -> RightsFacts:
    """Read who could change or delete records, and how. Raises CannotTell."""
    roles = (wanted.role.user, *wanted.more_roles)
    with one_moment(cluster, cluster.primary) as ask:
        found = ask(_TABLE, (wanted.table,))
        known = {name for (name,) in ask(_ROLES, (list(roles),))}
        lacking = tuple(role for role in roles if role not in known)
        if not found:
            return RightsFacts(wanted.table, False, "", roles, lacking, ())
        oid, owner, _, _ = found[0]
        ways = [(app, how) for app, how in ask(_WAYS, {"table": oid, "roles": list(roles)})]
        for kind, name, what, by in ask(_PARTS, {"table": oid}):
            if kind == "trigger" and by in known:
                ways.append(
                    (by, f"owns the function {what} of trigger {name}, which decides what is recorded")
                )
            elif kind == "rule":
                ways.append(
                    (
                        "everybody",
                        f"writes through the rule {name} on {wanted.table}, which changes what is recorded",
                    )
                )
            elif kind == "foreign key":
                ways.append(
                    ("everybody who deletes from " + what, f"removes records by the foreign key {name}")
                )
    return RightsFacts(wanted.table, True, owner, roles, lacking, tuple(ways))
