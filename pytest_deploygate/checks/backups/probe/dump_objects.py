"""The objects of a database that a dump should hold: one statement, asked of the source and of the copy."""

#: Objects that a dump holds: kind, name, definition without what a dump may write differently (grants), oid.
OBJECTS = r"""
WITH own AS (SELECT objid, classid FROM pg_depend WHERE deptype = 'e'),
spaces AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
relations AS (SELECT c.*, s.nspname || '.' || c.relname AS label FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND c.relkind <> 'c'
    AND NOT EXISTS (SELECT FROM own WHERE classid = 'pg_class'::regclass AND objid = c.oid))
SELECT CASE relkind WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' ELSE 'table' END AS kind, label AS name,
    CASE WHEN relkind IN ('i', 'I') THEN md5(pg_get_indexdef(oid)) WHEN relkind IN ('v', 'm') THEN md5(pg_get_viewdef(oid))
        ELSE concat_ws(' ', relkind, relpersistence, relrowsecurity) END AS definition, oid::bigint AS number
FROM relations
UNION ALL SELECT 'columns of', r.label, md5(string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
        a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)), ',' ORDER BY a.attname)), r.oid::bigint
FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
WHERE r.relkind IN ('r', 'p', 'f') GROUP BY r.label, r.oid
UNION ALL SELECT 'constraint', r.label || '.' || o.conname, md5(concat_ws(' ', pg_get_constraintdef(o.oid), o.convalidated)),
    o.oid::bigint FROM pg_constraint o JOIN relations r ON r.oid = o.conrelid
UNION ALL SELECT 'trigger', r.label || '.' || t.tgname, md5(concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)), t.oid::bigint
FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL SELECT 'policy', r.label || '.' || p.polname, md5(concat_ws(' ', p.polcmd, p.polpermissive,
    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))), p.oid::bigint
FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
UNION ALL SELECT 'function', s.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
    md5(concat_ws(' ', p.prosrc, p.provolatile, p.proisstrict, p.prosecdef, pg_get_function_arguments(p.oid),
    pg_get_function_result(p.oid))), p.oid::bigint FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM own WHERE classid = 'pg_proc'::regclass AND objid = p.oid)
UNION ALL SELECT 'contents of', label, '', oid::bigint FROM relations WHERE relkind = 'm' AND relispopulated
UNION ALL SELECT 'schema', nspname, '', oid::bigint FROM spaces
UNION ALL SELECT 'extension', extname, '', oid::bigint FROM pg_extension
UNION ALL SELECT 'large objects', 'any', '', min(oid)::bigint FROM pg_largeobject_metadata HAVING count(*) > 0
UNION ALL SELECT 'type', s.nspname || '.' || t.typname, md5(concat_ws(' ', t.typtype, format_type(nullif(t.typbasetype, 0), t.typtypmod),
    t.typnotnull, t.typdefault, (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
    (SELECT string_agg(pg_get_constraintdef(o.oid), ' ' ORDER BY o.conname) FROM pg_constraint o WHERE o.contypid = t.oid),
    (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod)), ',' ORDER BY a.attname) FROM pg_attribute a
     WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))), t.oid::bigint
FROM pg_type t JOIN spaces s ON s.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
    AND NOT EXISTS (SELECT FROM own WHERE classid = 'pg_type'::regclass AND objid = t.oid)
UNION ALL SELECT 'rule', r.label || '.' || w.rulename, md5(concat_ws(' ', pg_get_ruledef(w.oid), w.ev_enabled)), w.oid::bigint
FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
UNION ALL SELECT 'statistics', s.nspname || '.' || e.stxname, md5(pg_get_statisticsobjdef(e.oid)), e.oid::bigint
FROM pg_statistic_ext e JOIN spaces s ON s.oid = e.stxnamespace
UNION ALL SELECT 'publication', p.pubname, md5(concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
    (SELECT string_agg(r.label, ',' ORDER BY r.label) FROM pg_publication_rel m JOIN relations r ON r.oid = m.prrelid
     WHERE m.prpubid = p.oid))), p.oid::bigint FROM pg_publication p
UNION ALL SELECT 'event trigger', e.evtname, md5(concat_ws(' ', e.evtevent, e.evttags, e.evtfoid::regprocedure, e.evtenabled)),
    e.oid::bigint FROM pg_event_trigger e
WHERE NOT EXISTS (SELECT FROM own WHERE classid = 'pg_event_trigger'::regclass AND objid = e.oid)
UNION ALL SELECT 'foreign server', f.srvname, md5(concat_ws(' ', f.srvtype, f.srvversion, f.srvoptions)), f.oid::bigint
FROM pg_foreign_server f WHERE NOT EXISTS (SELECT FROM own WHERE classid = 'pg_foreign_server'::regclass AND objid = f.oid)
UNION ALL SELECT 'operator', o.oid::regoperator::text, o.oprcode::oid::regprocedure::text, o.oid::bigint
FROM pg_operator o JOIN spaces s ON s.oid = o.oprnamespace
WHERE NOT EXISTS (SELECT FROM own WHERE classid = 'pg_operator'::regclass AND objid = o.oid)
UNION ALL SELECT 'cast', concat_ws(' ', format_type(o.castsource, NULL), 'as', format_type(o.casttarget, NULL)),
    concat_ws(' ', o.castmethod, o.castcontext, nullif(o.castfunc, 0)::regprocedure), o.oid::bigint
FROM pg_cast o WHERE o.oid >= 16384 AND NOT EXISTS (SELECT FROM own WHERE classid = 'pg_cast'::regclass AND objid = o.oid)
UNION ALL SELECT 'collation', s.nspname || '.' || o.collname, concat_ws(' ', o.collprovider, o.collisdeterministic), o.oid::bigint
FROM pg_collation o JOIN spaces s ON s.oid = o.collnamespace
WHERE NOT EXISTS (SELECT FROM own WHERE classid = 'pg_collation'::regclass AND objid = o.oid)
UNION ALL SELECT 'text search configuration', s.nspname || '.' || o.cfgname, '', o.oid::bigint
FROM pg_ts_config o JOIN spaces s ON s.oid = o.cfgnamespace
WHERE NOT EXISTS (SELECT FROM own WHERE classid = 'pg_ts_config'::regclass AND objid = o.oid)
UNION ALL SELECT 'comments on tables', 'any', '', min(d.objoid)::bigint
FROM pg_description d JOIN relations r ON r.oid = d.objoid WHERE d.classoid = 'pg_class'::regclass HAVING count(*) > 0
"""
