"""The tables of migration tools beyond Alembic, and their folders of scripts.

The layouts are those that each tool documents or creates:
- Flyway `flyway_schema_history`: installed_rank, version, description, type, script, checksum, …, success. A failed
  row is a half-done migration; a version may be repeated by `undo` rows.
- Django `django_migrations`: id, app, name, applied. Each app has its own history; the head is all of them.
- golang-migrate `schema_migrations`: one row, version and dirty.
- Rails `schema_migrations`: version, one row per migration.
- Liquibase `databasechangelog`: id, author, filename, …, exectype; `databasechangeloglock.locked` while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from psycopg import sql
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.model import CannotTell

Query = str | sql.Composable


@dataclass(frozen=True, slots=True)
class Tool:
    """A migration tool: its table, the queries for it, and how its scripts' versions are read from their folder.

    `all_rows`: every migration has a row, so the versions are all rows; otherwise the only row is the head. `upgrade` is
    the command that applies what is pending.
    """

    table: str
    versions: str
    dirty: str
    read: Callable[[Path], Iterable[str]]
    all_rows: bool
    upgrade: str


_FLYWAY = re.compile(r"V(?P<version>[0-9]+([._][0-9]+)*)__.+\.(sql|py|java|class)$")
_NUMBERED = re.compile(r"(?P<version>\d+)_.+\.up\.sql$")
_RAILS = re.compile(r"(?P<version>\d+)_\w+\.rb$")
_DJANGO = re.compile(r"^(?!__init__)(?P<version>\w+)\.py$")
_LIQUIBASE_SQL = re.compile(r"^--\s*changeset\s+(?P<author>[^:\s]+):(?P<id>\S+)", re.MULTILINE)


def _flyway(folder: Path) -> Iterable[str]:
    for file in folder.rglob("*"):
        if found := _FLYWAY.fullmatch(file.name):
            yield _plain_version(found["version"].replace("_", "."))


def _plain_version(version: str) -> str:
    """Normalize a version as Flyway compares it: without leading zeros and trailing zero parts."""
    parts = [str(int(part)) for part in version.split(".")]
    while len(parts) > 1 and parts[-1] == "0":
        parts.pop()
    return ".".join(parts)


def _golang(folder: Path) -> Iterable[str]:
    versions = [
        int(found["version"]) for file in folder.iterdir() if (found := _NUMBERED.fullmatch(file.name))
    ]
    return [str(max(versions))] if versions else []


def _rails(folder: Path) -> Iterable[str]:
    return (found["version"] for file in folder.rglob("*.rb") if (found := _RAILS.fullmatch(file.name)))


def _django(folder: Path) -> Iterable[str]:
    """Read `APP/migrations/NAME.py` below a project; squashed migrations count as well as those they replace."""
    for file in folder.rglob("migrations/*.py"):
        if found := _DJANGO.fullmatch(file.name):
            yield f"{file.parent.parent.name}.{found['version']}"


def _liquibase(folder: Path) -> Iterable[str]:
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        if file.suffix == ".sql":
            yield from (f"{m['author']}:{m['id']}" for m in _LIQUIBASE_SQL.finditer(file.read_text()))
        elif file.suffix == ".xml":
            for element in ET.parse(file).iter():  # noqa: S314 (our own repository's changelogs)
                if element.tag.rpartition("}")[2] == "changeSet":
                    yield f"{element.get('author')}:{element.get('id')}"
        elif file.suffix in (".yml", ".yaml"):
            yield from _liquibase_yaml(file)


def _liquibase_yaml(file: Path) -> Iterable[str]:
    entries = (YAML(typ="safe").load(file.read_text()) or {}).get("databaseChangeLog", [])
    for entry in entries:
        if found := entry.get("changeSet"):
            yield f"{found['author']}:{found['id']}"


TOOLS = {
    "flyway": Tool(
        "flyway_schema_history",
        # Versions whose newest row is a success and not an undo; repeatable migrations have no version.
        "SELECT regexp_replace(version, '(^|[.])0+([0-9])', '\\1\\2', 'g') FROM (SELECT DISTINCT ON (version) version,"
        " success, type FROM {table} WHERE version IS NOT NULL AND type NOT IN ('SCHEMA', 'DELETE')"
        " ORDER BY version, installed_rank DESC) newest WHERE success AND type NOT LIKE 'UNDO%'",
        "SELECT EXISTS (SELECT FROM {table} t WHERE NOT success AND NOT EXISTS (SELECT FROM {table} later"
        " WHERE later.version = t.version AND later.success AND later.installed_rank > t.installed_rank))",
        _flyway,
        True,
        "flyway migrate",
    ),
    "django": Tool(
        "django_migrations",
        "SELECT app || '.' || name FROM {table}",
        "",
        _django,
        True,
        "python manage.py migrate",
    ),
    "golang-migrate": Tool(
        "schema_migrations",
        "SELECT version FROM {table}",
        "SELECT dirty FROM {table}",
        _golang,
        False,
        "migrate up",
    ),
    "rails": Tool(
        "schema_migrations", "SELECT version FROM {table}", "", _rails, True, "bin/rails db:migrate"
    ),
    "liquibase": Tool(
        "databasechangelog",
        "SELECT author || ':' || id FROM {table} WHERE exectype IN ('EXECUTED', 'RERAN', 'MARK_RAN')",
        # The lock is held while it runs, and remains after a crash.
        "SELECT locked FROM {lock}",
        _liquibase,
        True,
        "liquibase update",
    ),
}


def questions(migrations: Migrations) -> tuple[str, Query, Query | None]:
    """Return the tool's table, the query for its versions and the one that tells whether a migration is half done."""
    tool = TOOLS[migrations.tool or ""]
    name = migrations.version_table or tool.table
    parts = name.split(".")
    lock = sql.Identifier(*parts[:-1], f"{parts[-1]}lock")
    table = sql.Identifier(*parts)
    versions: sql.Composable = sql.SQL(tool.versions).format(table=table)
    if tool.all_rows and migrations.expect is not None:
        # Only the head is expected: what precedes it is left to the tool.
        wanted = [migrations.expect] if isinstance(migrations.expect, str) else list(migrations.expect)
        versions = sql.SQL("SELECT version FROM ({}) AS applied (version) WHERE version = ANY({})").format(
            versions, sql.Literal(wanted)
        )
    dirty = sql.SQL(tool.dirty).format(table=table, lock=lock) if tool.dirty else None
    return name, versions, dirty


def expected(migrations: Migrations) -> tuple[str, ...]:
    """Return the versions in the scripts folder. Raises CannotTell if it has none or cannot be read."""
    tool, folder = TOOLS[migrations.tool or ""], migrations.scripts
    if folder is None:
        return ()
    try:
        found = tuple(sorted(dict.fromkeys(tool.read(folder))))
    except (
        OSError,
        UnicodeDecodeError,
        ET.ParseError,
        YAMLError,
        KeyError,
        AttributeError,
    ) as error:
        raise CannotTell(
            f"the migrations in {folder} cannot be read: {type(error).__name__}: {error}"
        ) from error
    if not found:
        raise CannotTell(
            f"there is no migration of {migrations.tool} in {folder}: is it the right folder and the right tool?"
        )
    return found
