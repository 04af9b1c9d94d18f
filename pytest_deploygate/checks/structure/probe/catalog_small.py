"""Read the small objects on which tables and statements depend: operators, casts, collations, text search, settings.

Settings of the database and of roles are lost by a plain pg_dump. Only those are read that change what a statement
means; memory, timeouts and logging differ between environments.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.clients.postgres.one_moment import Ask

#: What the answer of a statement, or the object that it names, depends on. Settings of an application have a dot in them.
_MEANING = (
    "search_path", "timezone", "datestyle", "intervalstyle", "bytea_output", "extra_float_digits", "xmloption",
    "default_text_search_config", "default_transaction_isolation", "default_transaction_read_only", "row_security",
    "session_replication_role", "standard_conforming_strings", "transform_null_equals", "array_nulls", "lc_monetary",
    "lc_numeric", "lc_time", "role", "default_table_access_method", "check_function_bodies",
)  # fmt: skip
_NOT_OF_AN_EXTENSION = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{}'::regclass AND d.objid = o.oid AND d.deptype = 'e')"
# Each has the name, the owner (NULL: none), and the definition.
_OPERATORS = f"""
SELECT 'operator ' || o.oid::regoperator::text, pg_get_userbyid(o.oprowner), concat_ws(', ',
  'FUNCTION ' || o.oprcode::oid::regprocedure, 'COMMUTATOR ' || nullif(o.oprcom, 0)::regoperator,
  'NEGATOR ' || nullif(o.oprnegate, 0)::regoperator, CASE WHEN o.oprcanhash THEN 'HASHES' END,
  CASE WHEN o.oprcanmerge THEN 'MERGES' END)
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE n.nspname = ANY(%(schemas)s) AND {_NOT_OF_AN_EXTENSION.format("pg_operator")}
"""  # noqa: S608 (constants of this file)
_CASTS = f"""
SELECT 'cast (' || format_type(o.castsource, NULL) || ' AS ' || format_type(o.casttarget, NULL) || ')', NULL::text,
  CASE o.castmethod WHEN 'f' THEN 'FUNCTION ' || o.castfunc::regprocedure WHEN 'i' THEN 'INOUT' ELSE 'WITHOUT FUNCTION' END
    || CASE o.castcontext WHEN 'i' THEN ' IMPLICIT' WHEN 'a' THEN ' ASSIGNMENT' ELSE '' END
FROM pg_cast o WHERE o.oid >= 16384 AND {_NOT_OF_AN_EXTENSION.format("pg_cast")}
"""  # noqa: S608 (constants of this file)
# The column with ICU's locale is new in 15, and has another name since 17.
_COLLATIONS = f"""
SELECT 'collation ' || n.nspname || '.' || o.collname, pg_get_userbyid(o.collowner), concat_ws(' ', 'provider', o.collprovider::text,
  'locale', coalesce(to_jsonb(o) ->> 'colllocale', to_jsonb(o) ->> 'colliculocale', to_jsonb(o) ->> 'collcollate'),
  CASE WHEN NOT o.collisdeterministic THEN 'not deterministic' END, 'rules ' || (to_jsonb(o) ->> 'collicurules'))
FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
WHERE n.nspname = ANY(%(schemas)s) AND {_NOT_OF_AN_EXTENSION.format("pg_collation")}
"""  # noqa: S608 (constants of this file)
_TEXT_SEARCH = f"""
SELECT 'text search configuration ' || n.nspname || '.' || o.cfgname, pg_get_userbyid(o.cfgowner), concat_ws(', ',
  'parser ' || (SELECT p.prsname FROM pg_ts_parser p WHERE p.oid = o.cfgparser),
  'mappings md5 ' || (SELECT md5(string_agg(concat_ws(' ', m.maptokentype, m.mapseqno, m.mapdict::regdictionary), ','
      ORDER BY m.maptokentype, m.mapseqno)) FROM pg_ts_config_map m WHERE m.mapcfg = o.oid))
FROM pg_ts_config o JOIN pg_namespace n ON n.oid = o.cfgnamespace
WHERE n.nspname = ANY(%(schemas)s) AND {_NOT_OF_AN_EXTENSION.format("pg_ts_config")}
UNION ALL
SELECT 'text search dictionary ' || n.nspname || '.' || o.dictname, pg_get_userbyid(o.dictowner), concat_ws(', ',
  'template ' || (SELECT t.tmplname FROM pg_ts_template t WHERE t.oid = o.dicttemplate), o.dictinitoption)
FROM pg_ts_dict o JOIN pg_namespace n ON n.oid = o.dictnamespace
WHERE n.nspname = ANY(%(schemas)s) AND {_NOT_OF_AN_EXTENSION.format("pg_ts_dict")}
"""  # noqa: S608 (constants of this file)
_SETTINGS = """
SELECT split_part(c, '=', 1), CASE WHEN s.setrole <> 0 THEN coalesce(r.rolname::text, '?') WHEN s.setdatabase = 0 THEN 'all' END,
  s.setrole <> 0 AND s.setdatabase <> 0, substr(c, strpos(c, '=') + 1)
FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND r.rolname IS DISTINCT FROM current_user
"""


def small_objects(ask: Ask, schemas: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read operators, casts, collations and text search configurations, each with its lines."""
    wanted = {"schemas": list(schemas)}
    found: dict[str, dict[str, str]] = {}
    for query in (_OPERATORS, _CASTS, _COLLATIONS, _TEXT_SEARCH):
        for name, owner, definition in ask(query, wanted):
            said = {"owner": str(owner or ""), "definition": str(definition or "")}
            found[str(name)] = {aspect: text for aspect, text in said.items() if text}
    return found


def settings_of_the_database(ask: Ask) -> dict[str, str]:
    """Read what ALTER DATABASE and ALTER ROLE set. The value of an application's own setting may be a secret."""
    found = {}
    for name, role, here, value in ask(_SETTINGS):
        own = "." in name
        if not own and name.lower() not in _MEANING:
            continue
        of = f" of {role}" if role else ""
        found[f"setting {name}{of}{' in this database' if here else ''}"] = "(set)" if own else str(value)
    return dict(sorted(found.items()))
