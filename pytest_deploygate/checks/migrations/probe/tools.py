"""The tables of migration tools beyond Alembic, and their folders of scripts.

The layouts are those that each tool documents or creates:
- Flyway `flyway_schema_history`: installed_rank, version, description, type, script, checksum, …, success. A failed
  row is a half-done migration; a version may be repeated by `undo` rows.
- Django `django_migrations`: id, app, name, applied. Each app has its own history; the head is all of them. Django's own
  apps and installed ones have rows as well, but their scripts are not in the project: they are not compared, see `beside`.
- golang-migrate `schema_migrations`: one row, version and dirty.
- Rails `schema_migrations`: version, one row per migration.
- Liquibase `databasechangelog`: id, author, filename, …, exectype; `databasechangeloglock.locked` while it runs.
"""

from __future__ import annotations

import os
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
    """A migration tool: the queries for its table, and how its scripts' versions are read from their folder.

    `all_rows`: every migration has a row, so the versions are all rows; otherwise the only row is the head.
    """

    versions: str
    dirty: str
    read: Callable[[Path], Iterable[str]]
    all_rows: bool


_FLYWAY = re.compile(r"V(?P<version>[0-9]+([._][0-9]+)*)__.+\.(sql|py|java|class)$")
_NUMBERED = re.compile(r"(?P<version>\d+)_.+\.up\.sql$")
_RAILS = re.compile(r"(?P<version>\d+)_\w+\.rb$")
_DJANGO = re.compile(r"^(?!__init__)(?P<version>\w+)\.py$")
_LABEL = re.compile(r"^\s+label\s*=\s*[\"'](?P<label>\w+)[\"']", re.MULTILINE)
_LIQUIBASE_SQL = re.compile(r"^--\s*changeset\s+(?P<author>[^:\s]+):(?P<id>\S+)", re.MULTILINE)


def _below(folder: Path) -> Iterable[Path]:
    """Yield a project's files, in order, without what is installed in it: the migrations of libraries are not its own."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if _own(Path(place), name))
        yield from (Path(place, name) for name in sorted(names))


def _own(place: Path, name: str) -> bool:
    return (
        not name.startswith(".")
        and name not in ("node_modules", "site-packages", "__pycache__")
        and not (place / name / "pyvenv.cfg").exists()
    )


def _flyway(folder: Path) -> Iterable[str]:
    for file in _below(folder):
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
    return (found["version"] for file in _below(folder) if (found := _RAILS.fullmatch(file.name)))


def _django(folder: Path) -> Iterable[str]:
    """Read `APP/migrations/NAME.py` below a project; squashed migrations count as well as those they replace."""
    for file in _below(folder):
        if file.parent.name == "migrations" and (found := _DJANGO.fullmatch(file.name)):
            yield f"{_label(file.parent.parent)}.{found['version']}"


def _label(app: Path) -> str:
    """Return an app's label, which is what `django_migrations` has: that of its AppConfig, or its folder's name."""
    config = app / "apps.py"
    found = _LABEL.search(config.read_text(encoding="utf-8")) if config.is_file() else None
    return found["label"] if found else app.resolve().name


def _liquibase(folder: Path) -> Iterable[str]:
    for file in _below(folder):
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
        # Versions whose newest row is a success and not an undo; repeatable migrations have no version.
        "SELECT regexp_replace(version, '(^|[.])0+([0-9])', '\\1\\2', 'g') FROM (SELECT DISTINCT ON (version) version,"
        " success, type FROM {table} WHERE version IS NOT NULL AND type NOT IN ('SCHEMA', 'DELETE')"
        " ORDER BY version, installed_rank DESC) newest WHERE success AND type NOT LIKE 'UNDO%'",
        "SELECT EXISTS (SELECT FROM {table} t WHERE NOT success AND NOT EXISTS (SELECT FROM {table} later"
        " WHERE later.version = t.version AND later.success AND later.installed_rank > t.installed_rank))",
        _flyway,
        True,
    ),
    "django": Tool(
        "SELECT app || '.' || name FROM {table}",
        "",
        _django,
        True,
    ),
    "golang-migrate": Tool(
        "SELECT version FROM {table}",
        "SELECT dirty FROM {table}",
        _golang,
        False,
    ),
    "rails": Tool("SELECT version FROM {table}", "", _rails, True),
    "liquibase": Tool(
        "SELECT author || ':' || id FROM {table} WHERE exectype IN ('EXECUTED', 'RERAN', 'MARK_RAN')",
        # The lock is held while it runs, and remains after a crash.
        "SELECT locked FROM {lock}",
        _liquibase,
        True,
    ),
}


def questions(migrations: Migrations) -> tuple[str, Query, Query | None]:
    """Return the tool's table, the query for its versions and the one that tells whether a migration is half done."""
    tool = TOOLS[migrations.tool or ""]
    name = migrations.table
    lock = sql.Identifier(*f"{name}lock".split("."))
    table = sql.Identifier(*name.split("."))
    versions: sql.Composable = sql.SQL(tool.versions).format(table=table)
    if tool.all_rows and migrations.expect is not None:
        # Only the head is expected: what precedes it is left to the tool.
        wanted = [migrations.expect] if isinstance(migrations.expect, str) else list(migrations.expect)
        versions = sql.SQL("SELECT version FROM ({}) AS applied (version) WHERE version = ANY({})").format(
            versions, sql.Literal(wanted)
        )
    dirty = sql.SQL(tool.dirty).format(table=table, lock=lock) if tool.dirty else None
    return name, versions, dirty


def beside(migrations: Migrations, expected: Iterable[str], versions: Iterable[str]) -> tuple[str, ...]:
    """Return the versions of Django apps of which the scripts folder has no migration: Django's own, installed ones."""
    if migrations.tool != "django" or migrations.scripts is None:
        return ()
    own = {_app(version) for version in expected}
    return tuple(version for version in versions if _app(version) not in own)


def apps(versions: Iterable[str]) -> tuple[str, ...]:
    """Return the apps of Django's versions, sorted."""
    return tuple(sorted({_app(version) for version in versions}))


def _app(version: str) -> str:
    return version.partition(".")[0]


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
