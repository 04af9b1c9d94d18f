"""Turn catalog rows into plain lines, aspect -> text, for comparison and for snapshot files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pytest_deploygate.checks.structure.probe.catalog_small import settings_of_the_database, small_objects
from pytest_deploygate.clients.postgres.one_moment import Ask

Row = tuple[Any, ...]
_SECRET = re.compile("pass|secret|token|key|credential", re.IGNORECASE)
#: oid of the relation, name of the aspect, its text.
Line = tuple[int, str, str]

# Partitions are read with their parents, in whichever schema they are. Objects of extensions are left out.
RELATIONS = """
WITH RECURSIVE wanted AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND NOT EXISTS (SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  UNION
  SELECT c.oid FROM wanted JOIN pg_inherits i ON i.inhparent = wanted.oid
  JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
)
SELECT c.oid::int8, n.nspname || '.' || c.relname,
  CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
    WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' END,
  pg_get_userbyid(c.relowner), c.relpersistence = 'u', c.relrowsecurity, c.relforcerowsecurity,
  CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid, true) END,
  CASE WHEN c.relkind = 'v' THEN array_to_string(c.reloptions, ', ') END,
  CASE WHEN c.relkind = 'f' THEN (SELECT s.srvname FROM pg_foreign_table f
    JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid) END,
  (SELECT f.ftoptions FROM pg_foreign_table f WHERE f.ftrelid = c.oid), c.relispopulated,
  (SELECT i.inhparent::int8 FROM pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition)
FROM wanted JOIN pg_class c ON c.oid = wanted.oid JOIN pg_namespace n ON n.oid = c.relnamespace
"""
_COLUMNS = """
SELECT a.attrelid::int8, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
  pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text,
  CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END, a.attfdwoptions
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'S'
ORDER BY a.attrelid, a.attnum
"""
_SEQUENCES = """
SELECT s.seqrelid::int8, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle
FROM pg_sequence s WHERE s.seqrelid = ANY(%(oids)s::oid[])
"""
# No NOT NULL rows: only PostgreSQL 18 and later have them here, and the column's line shows it. No rows with a parent:
# a foreign key to a partitioned table has one for each partition.
_CONSTRAINTS = """
SELECT conrelid::int8, conname, pg_get_constraintdef(oid), convalidated
FROM pg_constraint
WHERE conrelid = ANY(%(oids)s::oid[]) AND contype IN ('p', 'u', 'f', 'c', 'x') AND conparentid = 0
"""
_TRIGGERS = """
SELECT tgrelid::int8, tgname, pg_get_triggerdef(oid), tgenabled::text
FROM pg_trigger WHERE tgrelid = ANY(%(oids)s::oid[]) AND NOT tgisinternal
"""
# Foreign keys are enforced by internal triggers, which `ALTER TABLE … DISABLE TRIGGER ALL` disables.
_ENFORCEMENT = """
SELECT t.tgrelid::int8, coalesce(c.conname, t.tgname), min(t.tgenabled::text)
FROM pg_trigger t LEFT JOIN pg_constraint c ON c.oid = t.tgconstraint
WHERE t.tgrelid = ANY(%(oids)s::oid[]) AND t.tgisinternal AND t.tgenabled <> 'O' GROUP BY 1, 2
"""
_RULES = """
SELECT ev_class::int8, rulename, pg_get_ruledef(oid), ev_enabled::text
FROM pg_rewrite WHERE ev_class = ANY(%(oids)s::oid[]) AND rulename <> '_RETURN'
"""
_REPLICA_IDENTITY = """
SELECT c.oid::int8, CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE
  (SELECT 'index ' || i.indexrelid::regclass::text FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident) END
FROM pg_class c WHERE c.oid = ANY(%(oids)s::oid[]) AND c.relkind IN ('r', 'p') AND c.relreplident <> 'd'
"""
_POLICIES = """
SELECT polrelid::int8, polname, polcmd::text, polpermissive,
  (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(role) END, ', ' ORDER BY role)
   FROM unnest(polroles) role),
  pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
FROM pg_policy WHERE polrelid = ANY(%(oids)s::oid[])
"""
# A NULL acl means the owner's defaults. It is expanded, so that "never granted" and "granted and revoked" look alike.
# MAINTAIN is new in PostgreSQL 17 and would make every owner differ.
_GRANTS = """
SELECT o.oid::int8, o.col, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
  string_agg(DISTINCT g.privilege_type || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, ', ')
FROM (
  SELECT oid, NULL::name AS col, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END,
    relowner)) AS acl FROM pg_class WHERE oid = ANY(%(oids)s::oid[])
  UNION ALL
  SELECT attrelid, attname, attacl FROM pg_attribute
  WHERE attrelid = ANY(%(oids)s::oid[]) AND attacl IS NOT NULL AND NOT attisdropped
) o, aclexplode(o.acl) g
WHERE g.privilege_type <> 'MAINTAIN'
GROUP BY 1, 2, 3
"""
_STATISTICS = """
SELECT stxrelid::int8, n.nspname || '.' || stxname, pg_get_statisticsobjdef(e.oid)
FROM pg_statistic_ext e JOIN pg_namespace n ON n.oid = e.stxnamespace WHERE stxrelid = ANY(%(oids)s::oid[])
"""
# Children of a partitioned table are its partitions, which have lines of their own.
_PARENTS = """
SELECT i.inhrelid::int8, string_agg(n.nspname || '.' || p.relname, ', ' ORDER BY i.inhseqno)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace
WHERE i.inhrelid = ANY(%(oids)s::oid[]) AND NOT c.relispartition GROUP BY 1
"""
_OWNED = """
SELECT d.objid::int8, n.nspname || '.' || t.relname || '.' || a.attname
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_class t ON t.oid = d.refobjid
JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE d.objid = ANY(%(oids)s::oid[]) AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.deptype IN ('a', 'i')
"""
# Range partitions come and go with time; those of a list or by hash, and default partitions, do not.
LASTING_PARTITIONS = """
SELECT c.oid::int8, pg_get_expr(c.relpartbound, c.oid)
FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
WHERE c.oid = ANY(%(oids)s::oid[]) AND (p.partstrat <> 'r' OR pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT')
"""
_FUNCTIONS = """
SELECT n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
  pg_get_userbyid(p.proowner), pg_get_function_arguments(p.oid), p.proisstrict,
  CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END,
  (SELECT concat_ws(', ', 'state function ' || g.aggtransfn::oid::regprocedure, 'state type ' || format_type(g.aggtranstype, NULL),
     'initial state ' || g.agginitval, 'final function ' || nullif(g.aggfinalfn::oid, 0)::regprocedure,
     'combine function ' || nullif(g.aggcombinefn::oid, 0)::regprocedure,
     'moving state function ' || nullif(g.aggmtransfn::oid, 0)::regprocedure,
     'moving inverse function ' || nullif(g.aggminvtransfn::oid, 0)::regprocedure,
     'sort operator ' || nullif(g.aggsortop, 0)::regoperator)
   FROM pg_aggregate g WHERE g.aggfnoid = p.oid),
  p.prosecdef, p.prokind::text, l.lanname,
  coalesce(pg_get_function_result(p.oid), 'nothing'),
  md5(concat_ws('|', p.prosrc, p.probin, {body})),
  CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
  array_to_string(p.proconfig, ', '),
  (SELECT string_agg(CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END, ', ')
   FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname = ANY(%(schemas)s) AND NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
"""
_TYPES = """
SELECT n.nspname || '.' || t.typname, pg_get_userbyid(t.typowner),
  CASE t.typtype
    WHEN 'e' THEN (SELECT 'ENUM (' || string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) || ')'
      FROM pg_enum e WHERE e.enumtypid = t.oid)
    WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'NOT NULL' END,
      'DEFAULT ' || t.typdefault,
      (SELECT string_agg(pg_get_constraintdef(o.oid), ' ' ORDER BY o.conname)
       FROM pg_constraint o WHERE o.contypid = t.oid AND o.contype = 'c'))
    ELSE (SELECT 'ROW (' || string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', '
      ORDER BY a.attnum) || ')' FROM pg_attribute a
      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE n.nspname = ANY(%(schemas)s) AND (t.typtype IN ('e', 'd') OR t.typtype = 'c' AND c.relkind = 'c')
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
"""
_SCHEMAS = """
SELECT n.nspname, pg_get_userbyid(n.nspowner),
  CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
  string_agg(DISTINCT g.privilege_type, ', ')
FROM pg_namespace n LEFT JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) g ON true
WHERE n.nspname = ANY(%(schemas)s) GROUP BY 1, 2, 3
"""
_DATABASE = """
SELECT pg_get_userbyid(d.datdba), CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
  string_agg(DISTINCT g.privilege_type || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, ', ')
FROM pg_database d LEFT JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) g ON true
WHERE d.datname = current_database() GROUP BY 1, 2
"""
_DEFAULT_PRIVILEGES = """
SELECT 'default privileges of ' || pg_get_userbyid(a.defaclrole) || coalesce(' in schema ' || n.nspname, '') || ' on '
    || CASE a.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
       WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END,
  CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
  string_agg(DISTINCT g.privilege_type || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, ', ')
FROM pg_default_acl a LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace
LEFT JOIN LATERAL aclexplode(a.defaclacl) g ON g.privilege_type <> 'MAINTAIN'
WHERE a.defaclnamespace = 0 OR n.nspname = ANY(%(schemas)s) GROUP BY 1, 2
"""
_SERVERS = """
SELECT s.srvname, pg_get_userbyid(s.srvowner), w.fdwname, s.srvtype, s.srvversion, s.srvoptions,
  (SELECT array_agg(m.usename ORDER BY m.usename) FROM pg_user_mappings m WHERE m.srvid = s.oid)
FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
WHERE NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.classid = 'pg_foreign_server'::regclass AND d.objid = s.oid AND d.deptype = 'e')
"""
_EVENT_TRIGGERS = """
SELECT e.evtname, pg_get_userbyid(e.evtowner), e.evtevent, array_to_string(e.evttags, ', '),
  e.evtfoid::regprocedure::text, e.evtenabled::text
FROM pg_event_trigger e WHERE NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e')
"""
_PUBLICATIONS = """
SELECT p.pubname, pg_get_userbyid(p.pubowner), p.puballtables, concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END,
  CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END,
  CASE WHEN p.pubtruncate THEN 'truncate' END, CASE WHEN p.pubviaroot THEN 'by the partitioned table' END)
FROM pg_publication p
"""
# Column lists, row filters and schemas of publications exist since PostgreSQL 15.
_PUBLISHED = """
SELECT p.pubname, 'table ' || n.nspname || '.' || c.relname, {what}
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
"""
_PUBLISHED_PART = """
concat_ws(' ', 'columns (' || (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum = ANY(r.prattrs)) || ')',
  'where ' || pg_get_expr(r.prqual, r.prrelid))"""
_PUBLISHED_SCHEMAS = """
SELECT p.pubname, 'schema ' || n.nspname, 'all its tables' FROM pg_publication_namespace r
JOIN pg_publication p ON p.oid = r.pnpubid JOIN pg_namespace n ON n.oid = r.pnnspid
"""


def relation_aspects(row: Row) -> dict[str, str]:
    """Return the lines from a relation's own row."""
    _, name, kind, owner, unlogged, security, forced, key, view, options, server, foreign, populated, _ = row
    said = {
        "kind": kind,
        "owner": owner,
        "persistence": "unlogged" if unlogged else "",
        "row security": ("forced" if forced else "enabled") if security else "",
        "partition key": key,
        "definition": " ".join((view or "").split()),
        "options": options,
        "server": server,
        "foreign options": _options(foreign),
        "contents": "" if populated else f"none, so queries of it fail: REFRESH MATERIALIZED VIEW {name}",
    }
    return {aspect: str(text) for aspect, text in said.items() if text}


def _options(options: Sequence[str] | None) -> str:
    """Return the options of a foreign object, by name. What may be a secret is only said to be there."""
    pairs = sorted(option.partition("=") for option in options or ())
    return ", ".join(f"{name} {'(set)' if _SECRET.search(name) else repr(value)}" for name, _, value in pairs)


def lines(ask: Ask, oids: Sequence[int]) -> Iterator[Line]:
    """Read the parts of relations: columns in their order, the rest by name."""
    yield from map(_column, ask(_COLUMNS, {"oids": oids}))
    yield from map(_sequence, ask(_SEQUENCES, {"oids": oids}))
    for query, line in _PARTS:
        yield from sorted(line(row) for row in ask(query, {"oids": oids}))


def _column(row: Row) -> Line:
    oid, name, kind, not_null, default, identity, generated, collation, foreign = row
    text = str(kind)
    if collation:
        text += f" COLLATE {collation}"
    if not_null:
        text += " NOT NULL"
    if identity:
        text += f" GENERATED {'ALWAYS' if identity == 'a' else 'BY DEFAULT'} AS IDENTITY"
    elif generated:
        text += f" GENERATED ALWAYS AS ({default}) {'STORED' if generated == 's' else 'VIRTUAL'}"
    elif default is not None:
        text += f" DEFAULT {default}"
    if foreign:
        text += f" OPTIONS ({_options(foreign)})"
    return int(oid), f"column {name}", text


def _sequence(row: Row) -> Line:
    oid, kind, start, step, low, high, cycle = row
    text = f"{kind} START {start} INCREMENT {step} MINVALUE {low} MAXVALUE {high}{' CYCLE' if cycle else ''}"
    return int(oid), "sequence", text


def _constraint(row: Row) -> Line:
    # pg_get_constraintdef includes NOT VALID only for some kinds.
    text = str(row[2])
    return int(row[0]), f"constraint {row[1]}", text if row[3] or "NOT VALID" in text else f"{text} NOT VALID"


def _trigger(row: Row) -> Line:
    state = {"O": "", "D": " (disabled)", "R": " (on replicas only)", "A": " (always)"}[row[3]]
    return int(row[0]), f"trigger {row[1]}", f"{row[2]}{state}"


_ENABLED = {"O": "", "D": " (disabled)", "R": " (in replica mode only)", "A": " (always)"}


def _enforcement(row: Row) -> Line:
    oid, name, enabled = row
    return int(oid), f"enforcement of {name}", f"switched off{'' if enabled == 'D' else _ENABLED[enabled]}"


def _rule(row: Row) -> Line:
    oid, name, definition, enabled = row
    return int(oid), f"rule {name}", f"{' '.join(definition.split())}{_ENABLED[enabled]}"


def _replica_identity(row: Row) -> Line:
    oid, identity = row
    return int(oid), "replica identity", str(identity)


def _policy(row: Row) -> Line:
    oid, name, command, permissive, roles, using, check = row
    what = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}[command]
    text = f"{'PERMISSIVE' if permissive else 'RESTRICTIVE'} FOR {what} TO {roles}"
    text += f" USING ({using})" if using else ""
    text += f" WITH CHECK ({check})" if check else ""
    return int(oid), f"policy {name}", text


def _grant(row: Row) -> Line:
    oid, column, grantee, privileges = row
    return int(oid), f"grant to {grantee}{f' on column {column}' if column else ''}", _by_name(privileges)


def _statistics(row: Row) -> Line:
    oid, name, definition = row
    return int(oid), f"statistics {name}", str(definition)


_PARTS: tuple[tuple[str, Callable[[Row], Line]], ...] = (
    (_CONSTRAINTS, _constraint),
    (_TRIGGERS, _trigger),
    (_ENFORCEMENT, _enforcement),
    (_RULES, _rule),
    (_REPLICA_IDENTITY, _replica_identity),
    (_POLICIES, _policy),
    (_GRANTS, _grant),
    (_STATISTICS, _statistics),
    (_PARENTS, lambda row: (int(row[0]), "inherits from", str(row[1]))),
    (_OWNED, lambda row: (int(row[0]), "owned by", str(row[1]))),
)


def others(ask: Ask, schemas: Sequence[str], server_major: int) -> dict[str, dict[str, str]]:
    """Read what is not a relation, each with its lines.

    These are functions, types, the schemas and the database themselves with its settings, default privileges, foreign
    servers, event triggers, publications, operators, casts, collations and text search configurations.
    """
    # Functions with an SQL-standard body (since 14) have no source text.
    body = "pg_get_function_sqlbody(p.oid)" if server_major >= 14 else "NULL"
    wanted = {"schemas": list(schemas)}
    found = dict(map(_function, ask(_FUNCTIONS.format(body=body), wanted)))
    found |= {
        f"type {name}": {"owner": str(owner), "definition": str(text)}
        for name, owner, text in ask(_TYPES, wanted)
    }
    for name, owner, grantee, privileges in sorted(ask(_SCHEMAS, wanted), key=str):
        schema = found.setdefault(f"schema {name}", {"owner": str(owner)})
        if grantee is not None:
            schema[f"grant to {grantee}"] = _by_name(privileges)
    found |= _of_the_database(ask, wanted) | _publications(ask, server_major) | small_objects(ask, schemas)
    found["database"] |= settings_of_the_database(ask)
    return dict(sorted(found.items()))


def _of_the_database(ask: Ask, wanted: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    """Read the database's own privileges. Its name differs between environments and is left out."""
    found: dict[str, dict[str, str]] = {}
    for owner, grantee, privileges in sorted(ask(_DATABASE), key=str):
        database = found.setdefault("database", {"owner": str(owner)})
        if grantee is not None:
            database[f"grant to {grantee}"] = _by_name(privileges)
    for name, grantee, privileges in sorted(ask(_DEFAULT_PRIVILEGES, wanted), key=str):
        default = found.setdefault(str(name), {})
        if grantee is not None:
            default[f"grant to {grantee}"] = _by_name(privileges)
    for name, owner, wrapper, kind, version, options, users in ask(_SERVERS):
        found[f"foreign server {name}"] = {
            "owner": str(owner),
            "wrapper": " ".join(str(word) for word in (wrapper, kind, version) if word),
            "foreign options": _options(options),
            "user mappings": ", ".join(users or ()),
        }
    for name, owner, event, tags, function, enabled in ask(_EVENT_TRIGGERS):
        found[f"event trigger {name}"] = {
            "owner": str(owner),
            "definition": f"ON {event}{f' WHEN TAG IN ({tags})' if tags else ''} EXECUTE FUNCTION {function}"
            f"{_ENABLED[enabled]}",
        }
    return found


def _publications(ask: Ask, server_major: int) -> dict[str, dict[str, str]]:
    found = {
        f"publication {name}": {"owner": str(owner), "publishes": str(operations)}
        | ({"all tables": "yes"} if everything else {})
        for name, owner, everything, operations in ask(_PUBLICATIONS)
    }
    newer = server_major >= 15
    members = ask(_PUBLISHED.format(what=_PUBLISHED_PART if newer else "''"))
    members += ask(_PUBLISHED_SCHEMAS) if newer else []
    for name, member, part in sorted(members):
        found[f"publication {name}"][str(member)] = str(part) or "all rows and columns"
    return found


def _function(row: Row) -> tuple[str, dict[str, str]]:
    (
        name,
        owner,
        arguments,
        strict,
        parallel,
        aggregate,
        definer,
        kind,
        language,
        result,
        digest,
        volatility,
        settings,
        execute,
    ) = row
    what = {"p": "procedure", "a": "aggregate", "w": "window function"}.get(str(kind), "function")
    return f"{what} {name}", {
        "owner": str(owner),
        "arguments": str(arguments),
        "on null input": "returns null (STRICT)" if strict else "called",
        "parallel": str(parallel),
        "aggregate": str(aggregate or ""),
        "returns": str(result),
        "language": str(language),
        "security": "definer" if definer else "invoker",
        "volatility": str(volatility),
        "source md5": str(digest),
        "settings": str(settings or ""),
        "grant to execute": _by_name(execute or ""),
    }


def _by_name(names: str) -> str:
    """Sort a list here: the server's order depends on the database's collation."""
    return ", ".join(sorted(names.split(", ")))
