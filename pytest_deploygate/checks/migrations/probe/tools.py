"""The tables of migration tools beyond Alembic, and their folders of scripts.

The layouts are those that each tool documents or creates:
- golang-migrate `schema_migrations`: one row, version and dirty.
- Rails `schema_migrations`: version, one row per migration; engines' files end in .ENGINE.rb.
- Flyway, Django and Liquibase have modules of their own beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from psycopg import sql

from pytest_deploygate.checks.migrations.facts import Compared
from pytest_deploygate.checks.migrations.probe import tool_django, tool_flyway, tool_liquibase
from pytest_deploygate.checks.migrations.probe.own_files import below
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.clients.postgres.names import identifier
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

Query = str | sql.Composable
Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Tool:
    """A migration tool: the queries for its rows and for a half-done migration, and its scripts.

    `read` parses a folder, `names` are the versions in it, `compare` sets them against the rows. `applied` are the
    versions that rows stand for.
    """

    rows: str
    dirty: str
    read: Callable[[Migrations, Path], Any]
    names: Callable[[Any], Sequence[str]]
    applied: Callable[[Rows], Sequence[str]]
    compare: Callable[[Any, Rows], Compared]


_NUMBERED = re.compile(r"(?P<version>\d+)_.+\.up\.\w+$")
_RAILS = re.compile(r"(?P<version>\d+)_[_a-z0-9]*\.?[_a-z0-9]*\.rb$")


def _golang(_: Migrations, folder: Path) -> list[str]:
    names = [found["version"] for f in folder.iterdir() if (found := _NUMBERED.fullmatch(f.name))]
    return [str(max(map(int, names)))] if names else []


def _rails(_: Migrations, folder: Path) -> list[str]:
    names = {found["version"] for file in below(folder) if (found := _RAILS.fullmatch(file.name))}
    return sorted(names, key=int)


def _first(rows: Rows) -> list[str]:
    return ["NULL" if row[0] is None else str(row[0]) for row in rows]


def _by_number(expected: list[str], rows: Rows) -> Compared:
    """Compare numbers, each with a row of its own."""
    done, wanted = {_number(v) for v in _first(rows)}, {_number(v): v for v in expected}
    unknown = tuple(v for v in _first(rows) if _number(v) not in wanted)
    ahead = any(_number(v) > max(wanted, default=0) for v in unknown)
    return Compared(tuple(v for n, v in wanted.items() if n not in done), unknown, ahead)


def _at_number(expected: list[str], rows: Rows) -> Compared:
    """Compare one number, that of the newest."""
    at, head = [_number(v) for v in _first(rows)], _number(expected[0])
    later = tuple(v for v in _first(rows) if _number(v) > head)
    return Compared((expected[0],) if not at or max(at) < head else (), later, ahead=bool(later))


def _number(version: str) -> int:
    return int(version) if version.isdigit() else -1


TOOLS = {
    "flyway": Tool(
        tool_flyway.ROWS,
        "SELECT EXISTS (SELECT FROM {table} t WHERE NOT success AND NOT EXISTS (SELECT FROM {table} later"
        " WHERE later.version IS NOT DISTINCT FROM t.version AND later.description = t.description"
        " AND later.success AND later.installed_rank > t.installed_rank))",
        lambda _, folder: tool_flyway.read(folder),
        lambda files: [*files.versions, *(f"repeatable {name}" for name in files.repeatable)],
        tool_flyway.applied,
        tool_flyway.compare,
    ),
    "django": Tool(
        tool_django.ROWS,
        "",
        lambda _, folder: tool_django.read(folder),
        lambda modules: list(modules.replaces),
        _first,
        tool_django.compare,
    ),
    "golang-migrate": Tool(
        "SELECT version FROM {table}",
        "SELECT dirty FROM {table}",
        _golang,
        list,
        _first,
        _at_number,
    ),
    "rails": Tool("SELECT version FROM {table}", "", _rails, list, _first, _by_number),
    "liquibase": Tool(
        tool_liquibase.ROWS,
        # The lock is held while it runs, and remains after a crash.
        "SELECT locked FROM {lock}",
        lambda migrations, folder: tool_liquibase.read(folder, migrations.contexts),
        lambda logs: [str(s) for s in logs.sets] or list(logs.unread),
        lambda rows: [f"{author}:{number}" for number, author, _ in rows],
        tool_liquibase.compare,
    ),
}


def questions(migrations: Migrations) -> tuple[str, Query, Query | None]:
    """Return the tool's table, the query for its rows and the one that tells whether a migration is half done."""
    tool = TOOLS[migrations.tool or ""]
    name = migrations.table
    table, lock = identifier(name), identifier(migrations.lock_table)
    dirty = sql.SQL(tool.dirty).format(table=table, lock=lock) if tool.dirty else None
    return name, sql.SQL(tool.rows).format(table=table), dirty


def scripts(migrations: Migrations) -> Any:
    """Read the scripts folder; None if there is none. Raises CannotTell if it is empty or cannot be read."""
    tool, folder = TOOLS[migrations.tool or ""], migrations.scripts
    if folder is None:
        return None
    try:
        found = tool.read(migrations, folder)
    except OSError as error:
        raise CannotTell(f"the migrations in {folder} cannot be read: {error}") from error
    if not tool.names(found):
        raise CannotTell(
            f"there is no migration of {migrations.tool} in {folder}: is it the right folder and the right tool?"
        )
    return found


def expected(migrations: Migrations, found: Any) -> tuple[str, ...]:
    """Return the versions of the scripts, or those that the inventory expects, as the tool writes them."""
    tool = TOOLS[migrations.tool or ""]
    if found is not None:
        return tuple(tool.names(found))
    given = migrations.expect
    listed = [given] if isinstance(given, str) else list(given or [])
    return tuple(tool_flyway.plain(v) for v in listed) if migrations.tool == "flyway" else tuple(listed)


def versions(migrations: Migrations, rows: Rows) -> tuple[str, ...]:
    """Return the versions that rows stand for. If only heads are expected, what precedes them is left to the tool."""
    tool = TOOLS[migrations.tool or ""]
    found = tuple(sorted(tool.applied(rows)))
    if migrations.scripts is None and migrations.tool != "golang-migrate":
        found = tuple(v for v in found if v in expected(migrations, None))
    return found
