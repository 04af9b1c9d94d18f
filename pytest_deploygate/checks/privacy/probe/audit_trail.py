"""The audit trail: an audited operation with its record, and who could change records, read from privileges.

No change of records is attempted: ownership, memberships, grants, partitions and triggers are read instead.
"""

from __future__ import annotations

import re
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
from pytest_deploygate.clients.postgres.names import another_case
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
SELECT c.oid::int8, pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = to_regclass(%s)
"""
# The table, its partitions and children, and what it is a partition or child of: a statement on those reaches its records
# too, and only the privileges on the table that the statement names are asked.
_FAMILY = """
WITH RECURSIVE below AS (SELECT %(table)s::oid AS oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN below b ON i.inhparent = b.oid),
above AS (SELECT %(table)s::oid AS oid UNION SELECT i.inhparent FROM pg_inherits i JOIN above a ON i.inhrelid = a.oid)
SELECT c.oid::int8, n.nspname, c.relname, c.oid IN (SELECT oid FROM below)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN (SELECT oid FROM below UNION SELECT oid FROM above)
"""
_ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
# Members of a role can use SET ROLE, inherited or not, so 'MEMBER' counts. Partitions count as part of the table. A rule
# that does nothing instead of an UPDATE or DELETE protects from it; only an owner can drop the rule.
_WAYS = r"""
WITH family AS (
    SELECT c.oid, n.nspname || '.' || c.relname AS name, c.relowner, c.relnamespace FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY(%(family)s::int8[]::oid[])
), parts AS (SELECT * FROM family WHERE oid = ANY(%(parts)s::int8[]::oid[])),
parents AS (SELECT * FROM family WHERE oid <> ALL(%(parts)s::int8[]::oid[])), app AS (SELECT oid, rolname, rolsuper FROM pg_roles WHERE rolname = ANY(%(roles)s)),
reach AS (SELECT a.rolname AS app, r.oid, r.rolname FROM app a
    JOIN pg_roles r ON a.oid = r.oid OR (NOT a.rolsuper AND pg_has_role(a.oid, r.oid, 'MEMBER'))),
kept AS (SELECT ev_class, ev_type FROM pg_rewrite
    WHERE is_instead AND pg_get_ruledef(oid) ~ 'DO INSTEAD NOTHING;\s*$' AND ev_qual::text = '<>' AND ev_enabled IN ('O', 'A'))
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
    AND NOT EXISTS (SELECT FROM kept WHERE ev_class = p.oid AND ev_type = CASE k.privilege WHEN 'UPDATE' THEN '2' WHEN 'DELETE' THEN '4' END)
UNION
SELECT DISTINCT app, 'may ' || k.privilege || ' ' || p.name
    || CASE WHEN reach.rolname <> app THEN ' by membership in ' || reach.rolname ELSE '' END || ', whose rows include these records'
FROM reach CROSS JOIN parents p CROSS JOIN (VALUES ('UPDATE', '2'), ('DELETE', '4'), ('TRUNCATE', '')) AS k (privilege, event)
WHERE (has_table_privilege(reach.oid, p.oid, k.privilege) OR k.privilege = 'UPDATE' AND has_any_column_privilege(reach.oid, p.oid, 'UPDATE'))
    AND NOT EXISTS (SELECT FROM pg_roles s WHERE s.oid = reach.oid AND s.rolsuper)
    AND NOT EXISTS (SELECT FROM kept WHERE ev_class = p.oid AND ev_type::text = k.event)
UNION
SELECT DISTINCT app, 'may UPDATE columns of ' || p.name FROM reach CROSS JOIN parts p
WHERE has_any_column_privilege(reach.oid, p.oid, 'UPDATE') AND NOT has_table_privilege(reach.oid, p.oid, 'UPDATE')
    AND NOT EXISTS (SELECT FROM kept WHERE ev_class = p.oid AND ev_type = '2')
ORDER BY 1, 2
"""
# Ways that do not show as a privilege on the table: role attributes, functions that run as somebody who may, owners of what
# the audit trigger needs, views. `%(name)s` is a pattern that matches the table's name in a function's text.
_DETOURS = r"""
WITH RECURSIVE app AS (SELECT oid, rolname FROM pg_roles WHERE rolname = ANY(%(roles)s) AND NOT rolsuper),
reach AS (SELECT a.rolname AS app, r.oid, r.rolname, r.rolcreaterole, r.rolbypassrls FROM app a
    JOIN pg_roles r ON pg_has_role(a.oid, r.oid, 'MEMBER')),
functions AS (SELECT p.oid, p.oid::regprocedure::text AS name, p.proowner, p.prosecdef, p.pronamespace, p.prorettype,
    -- As it is, and without comments, which may stand between the words of a statement.
    coalesce(d.text || E'\n' || regexp_replace(d.text, '/\*.*?\*/|--[^\n]*', ' ', 'g'), '') AS body
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    CROSS JOIN LATERAL (SELECT CASE WHEN p.prokind IN ('f', 'p') AND l.lanname NOT IN ('c', 'internal')
        THEN pg_get_functiondef(p.oid) END AS text) d JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')),
audits AS (SELECT t.tgrelid, t.tgname, f.name AS function, f.proowner FROM pg_trigger t JOIN functions f ON f.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND t.tgrelid <> %(table)s AND f.body ~* %(name)s),
-- Each view is followed to the views on it. Its owner's rights count, or with security_invoker those of whoever uses it:
-- `needs` is what that one must be able to change as well.
through AS (
    SELECT f.oid::oid, k.privilege, k.bit, NULL::oid AS needs FROM unnest(%(family)s::int8[]) AS f (oid)
        CROSS JOIN (VALUES ('UPDATE', 4), ('DELETE', 16)) AS k (privilege, bit)
    UNION SELECT v.oid, t.privilege, t.bit, CASE WHEN o.invoker THEN coalesce(t.needs, t.oid) END
    FROM through t JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
    JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class AND v.relkind = 'v' AND v.oid <> t.oid
    CROSS JOIN LATERAL (SELECT coalesce(bool_or(option_value::boolean), false) AS invoker FROM pg_options_to_table(v.reloptions)
        WHERE option_name = 'security_invoker') o
    WHERE pg_relation_is_updatable(v.oid, true) & t.bit <> 0 AND (o.invoker OR (has_table_privilege(v.relowner, t.oid, t.privilege)
        AND (t.needs IS NULL OR has_table_privilege(v.relowner, t.needs, t.privilege)))))
SELECT app, 'has CREATEROLE (may make itself a member of another role)' FROM reach WHERE rolcreaterole AND rolname = app
UNION SELECT app, 'has BYPASSRLS (row security does not hold it)' FROM reach WHERE rolbypassrls AND rolname = app
UNION SELECT app, 'is a member of ' || rolname || ' (may change files of the server)' FROM reach
WHERE rolname IN ('pg_write_server_files', 'pg_execute_server_program')
UNION SELECT app, 'owns the database ' || d.datname || ' (may drop it)' FROM reach JOIN pg_database d ON d.datdba = reach.oid
WHERE d.datname = current_database()
UNION SELECT app, 'owns ' || a.function || ', the function of the audit trigger ' || a.tgname || ' (may replace it)'
FROM reach JOIN audits a ON a.proowner = reach.oid
UNION SELECT app, 'owns ' || a.tgrelid::regclass || ' (may switch the audit trigger ' || a.tgname || ' off)'
FROM reach JOIN pg_class c ON c.relowner = reach.oid JOIN audits a ON a.tgrelid = c.oid
UNION SELECT app, 'may execute ' || f.name || ', which changes records as ' || pg_get_userbyid(f.proowner) || ' (SECURITY DEFINER)'
FROM app a (oid, app) JOIN functions f ON f.prosecdef AND f.body ~* %(changes)s
    AND ((f.prorettype <> 'trigger'::regtype AND has_function_privilege(a.oid, f.oid, 'EXECUTE')
          AND has_schema_privilege(a.oid, f.pronamespace, 'USAGE'))
        OR (f.prorettype = 'trigger'::regtype AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = f.oid AND t.tgenabled <> 'D')))
UNION SELECT reach.app, 'may ' || t.privilege || ' through the view ' || v.oid::regclass
FROM reach CROSS JOIN through t JOIN pg_class v ON v.oid = t.oid AND v.relkind = 'v'
WHERE (has_table_privilege(reach.oid, v.oid, t.privilege)
        OR t.privilege = 'UPDATE' AND has_any_column_privilege(reach.oid, v.oid, 'UPDATE'))
    AND (t.needs IS NULL OR has_table_privilege(reach.oid, t.needs, t.privilege))
UNION SELECT reach.app, 'changes records by the rule ' || w.rulename || ' on ' || c.oid::regclass || ', which it may write'
FROM reach JOIN pg_rewrite w ON w.ev_type IN ('2', '3', '4') AND w.ev_enabled <> 'D' AND w.ev_class <> %(table)s
    AND pg_get_ruledef(w.oid) ~* %(changes)s
JOIN pg_class c ON c.oid = w.ev_class AND has_table_privilege(reach.oid, c.oid,
    CASE w.ev_type WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' ELSE 'DELETE' END)
WHERE has_table_privilege(c.relowner, %(table)s::oid, 'UPDATE') OR has_table_privilege(c.relowner, %(table)s::oid, 'DELETE')
ORDER BY 1, 2
"""
# From 15 on a parameter can be granted; this one switches triggers off for a session.
_PARAMETER = """
SELECT rolname, 'may SET session_replication_role (switches audit triggers off)' FROM pg_roles
WHERE rolname = ANY(%s) AND NOT rolsuper AND has_parameter_privilege(oid, 'session_replication_role', 'SET')
"""
# Functions that run as somebody who may change records, and compose their statements: nobody can read what those do.
_COMPOSED = r"""
SELECT r.rolname, p.oid::regprocedure::text FROM pg_roles r JOIN pg_proc p ON p.prosecdef AND p.prosrc ~* '\mexecute\M'
    AND p.prorettype <> 'trigger'::regtype JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE r.rolname = ANY(%(roles)s) AND NOT r.rolsuper AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND has_function_privilege(r.oid, p.oid, 'EXECUTE') AND has_schema_privilege(r.oid, n.oid, 'USAGE')
    AND has_table_privilege(p.proowner, %(table)s::oid, 'DELETE')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""
# A trigger or rule that changes what is written, a foreign key that deletes records with the row they refer to.
_PARTS = r"""
SELECT 'trigger', t.tgname, p.proname || CASE WHEN t.tgenabled = 'D' THEN ' (off)' ELSE '' END, pg_get_userbyid(p.proowner)
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = %(table)s AND NOT t.tgisinternal AND (t.tgtype & 2) = 2 AND (t.tgtype & 4) = 4
UNION ALL
SELECT 'rule', rulename, ev_type::text, '' FROM pg_rewrite WHERE ev_class = %(table)s AND rulename <> '_RETURN'
    AND NOT (is_instead AND pg_get_ruledef(oid) ~ 'DO INSTEAD NOTHING;\s*$' AND ev_type IN ('2', '4'))
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
            return RightsFacts(
                wanted.table, False, "", roles, lacking, (), near=another_case(ask, wanted.table)
            )
        oid, owner = found[0]
        about = {"table": oid, "roles": list(roles)}
        family = ask(_FAMILY, about)
        about |= {
            "family": [one for one, *_ in family],
            "parts": [one for one, _, _, below in family if below],
        }
        ways = [(app, how) for app, how in ask(_WAYS, about)]
        names = [(where, name) for _, where, name, _ in family]
        ways += [(app, how) for app, how in ask(_DETOURS, about | _patterns(names))]
        if ask("SELECT current_setting('server_version_num')::int >= 150000")[0][0]:
            ways += [(app, how) for app, how in ask(_PARAMETER, (list(roles),))]
        composed = tuple(f"{name} by {app}" for app, name in ask(_COMPOSED, about))
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
    return RightsFacts(wanted.table, True, owner, roles, lacking, tuple(ways), composed)


def _patterns(names: list[tuple[str, str]]) -> dict[str, str]:
    """Return patterns for a function's text: the names of the tables with the records, and a statement that changes their rows."""
    schemas = "|".join(re.escape(schema) for schema in sorted({schema for schema, _ in names}))
    tables = "|".join(re.escape(name) for name in sorted({name for _, name in names}))
    table = rf'(("?({schemas})"?\s*\.\s*)?"?({tables})"?)(?![\w"])'
    verbs = (
        r"(delete\s+from|update|truncate(\s+table)?|merge\s+into|drop\s+table(\s+if\s+exists)?|alter\s+table)"
    )
    return {"name": rf'(?<![\w"])"?({tables})"?(?![\w"])', "changes": rf"{verbs}\s+(only\s+)?{table}"}
