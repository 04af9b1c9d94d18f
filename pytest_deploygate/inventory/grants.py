"""The minimal grants of the gate's role for an inventory, statement by statement, with the items that need them.

Each subject's needs are in `checks/<subject>/grants`; this module turns them into SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from pytest_deploygate import checks
from pytest_deploygate.fields import grants as needed
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.names import parts
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.inventory.sections import Handed
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Grant:
    """One statement for a superuser to run on the primary, in the inventory's database. `why` is its purpose."""

    statement: str
    items: tuple[str, ...]
    why: str


def grants(inventory: Inventory) -> list[Grant]:
    """Return the statements in the order they must run. An inventory without a database needs none."""
    database = inventory.database
    if database is None:
        return []
    role, found = _quoted(database.user), _needs(inventory)
    made = [
        _role(role, database.user),
        Grant(f"GRANT CONNECT ON DATABASE {_quoted(database.name)} TO {role};", ("all",), "to log in"),
    ]
    if items := _items(found, needed.Statistics):
        why = "to see settings, statistics and statements of other roles"
        made.append(Grant(f"GRANT pg_monitor TO {role};", items, why))
    made += _reading(found, role)
    made += [
        Grant(need.sql.replace("{role}", role), need.items, need.why)
        for need in found
        if isinstance(need, needed.Statement)
    ]
    if inventory.writes and (items := _items(found, needed.MarkerRows)):
        schema = _quoted(inventory.writes.schema_)
        why = "for the gate's marker rows, its only writes"
        made.append(Grant(f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {role};", items, why))
    return made


def _role(role: str, user: str) -> Grant:
    """Make the role where it is missing. Its password is not in any file of ours: a person sets it."""
    known = sql.Literal(role).as_string(None)
    return Grant(
        f"DO $$ BEGIN IF to_regrole({known}) IS NULL THEN CREATE ROLE {role} LOGIN; END IF; END $$;",
        ("all",),
        f"the gate's role, if it is missing; then set its password, in psql: \\password {user}",
    )


def beside_sql(inventory: Inventory) -> list[BesideSql]:
    """Return requirements that SQL grants cannot cover, for the sections of the inventory."""
    return [need for need in _needs(inventory) if isinstance(need, BesideSql)] if inventory.database else []


def _needs(inventory: Inventory) -> list[Need]:
    sections = Handed(inventory)
    return [
        need
        for subject in checks.subjects()
        if (module := checks.part(subject, "grants"))
        for need in module.needs(sections)
    ]


def _items(found: Sequence[Need], kind: type[Need]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for need in found if isinstance(need, kind) for item in need.items))


def _reading(found: Sequence[Need], role: str) -> Iterator[Grant]:
    """Read access to everything if unknown tables are read, else to the named tables."""
    if items := _items(found, needed.ReadEverything):
        yield Grant(
            f"GRANT pg_read_all_data TO {role};",
            items,
            "to read the tables of queries and sweeps (14 and later; on 13 GRANT SELECT ON ALL TABLES IN SCHEMA … instead)",
        )
        return
    wanted = [(need.table, need.items) for need in found if isinstance(need, needed.ReadTable)]
    for schema in sorted({parts(table)[0] for table, _ in wanted if len(parts(table)) > 1}):
        yield Grant(f"GRANT USAGE ON SCHEMA {_quoted(schema)} TO {role};", ("all",), "to reach its tables")
    for table in sorted({table for table, _ in wanted}):
        items = tuple(sorted({item for name, its in wanted if name == table for item in its}))
        yield Grant(f"GRANT SELECT ON {_quoted(*parts(table))} TO {role};", items, "to read it")


def _quoted(*names: str) -> str:
    return sql.Identifier(*names).as_string(None)
