"""Names of the inventory on the server: quoted for a statement, and what is there in their place."""

from __future__ import annotations

from psycopg import sql

from pytest_deploygate.clients.postgres.one_moment import Ask
from pytest_deploygate.fields import names

_RELATIONS = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE lower(c.relname) = lower(%(name)s) AND (%(schema)s::text IS NULL OR lower(n.nspname) = lower(%(schema)s))
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'i', 'I') AND n.nspname !~ '^pg_' ORDER BY 1, 2
"""
_COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND lower(attname) = lower(%(column)s)
  AND attname <> %(column)s AND attnum > 0 AND NOT attisdropped ORDER BY 1
"""


def identifier(name: str) -> sql.Identifier:
    """Quote a name of the inventory for a statement."""
    return sql.Identifier(*names.parts(name))


def another_case(ask: Ask, name: str, *columns: str) -> str:
    """Return the end of a sentence that names what differs from a missing table, or column of it, only in case.

    `name` is as the inventory writes it, `columns` are as the catalog has them. Empty if there is nothing of the kind.
    Raises CannotTell.
    """
    *schema, table = names.parts(name)
    if not ask("SELECT to_regclass(%s)", (name,))[0][0]:
        found = ask(_RELATIONS, {"name": table, "schema": schema[0] if schema else None})
        return names.instead(names.written(*found[0])) if found else ""
    for column in columns:
        for (there,) in ask(_COLUMNS, {"table": name, "column": column}):
            return names.instead(names.written(there))
    return ""
