"""Read which schema version each node is at, and which versions exist."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from pytest_deploygate.checks.migrations.facts import NodeVersion, Revision, SchemaVersions, Scripts
from pytest_deploygate.checks.migrations.probe import alembic_scripts, tool_status
from pytest_deploygate.checks.migrations.probe import tools as migration_tools
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.names import identifier
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, NotCovered

#: A replica that is a moment behind gets this long to show the primary's version.
_PATIENCE_S = 2.0
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0", ""})


@dataclass(frozen=True)
class _Asked:
    """What each node is asked, and the scripts that its answer is compared with."""

    query: str | sql.Composable
    dirty: str | sql.Composable | None
    migrations: Migrations
    parsed: Any


def schema_versions(cluster: Cluster, migrations: Migrations) -> SchemaVersions:
    """Read the version rows on all nodes in parallel.

    Raises CannotTell if the script folder or the primary cannot be read, NotCovered without Alembic.
    """
    scripts = read_scripts(migrations.alembic, migrations.alembic_ini) if migrations.alembic else None
    parsed = None
    dirty: str | sql.Composable | None = migrations.dirty
    if scripts:
        expected = scripts.heads
        query: str | sql.Composable = sql.SQL("SELECT version_num FROM {}").format(
            identifier(migrations.table)
        )
        source = migrations.table
    elif migrations.tool:
        source, query, tools_dirty = migration_tools.questions(migrations)
        dirty = dirty or tools_dirty
        parsed = migration_tools.scripts(migrations)
        expected = migration_tools.expected(migrations, parsed)
    else:
        expected = _as_tuple(migrations.expect)
        query, source = migrations.query or "", "the inventory's query"
    asked = _Asked(query, dirty, migrations, parsed)
    first = _read(cluster, cluster.primary, asked)
    if first.problem and not first.missing and not first.versions:
        raise CannotTell(first.problem)
    answers = cluster.everywhere(
        lambda node: _read_until(cluster, node, asked, first.versions), cluster.replicas
    )
    replicas = tuple(
        answer if isinstance(answer, NodeVersion) else _unread(node, str(answer))
        for node, answer in ((node, answers[node.name]) for node in cluster.replicas)
    )
    tool = tool_status.ask(migrations, tuple(expected)) if migrations.status else None
    return SchemaVersions(source, tuple(sorted(expected)), scripts, (first, *replicas), tool)


def read_scripts(folder: Path, ini: Path | None = None) -> Scripts:
    """Read Alembic's script folder with Alembic itself.

    Raises NotCovered if Alembic is not installed, CannotTell if the folder cannot be read or is empty.
    """
    try:
        import_module("alembic.script")
        from alembic.util import CommandError  # noqa: PLC0415 (an extra)
    except ImportError:
        raise NotCovered(
            "Alembic is not installed here, so the expected head is unknown; "
            "run: pip install 'pytest-deploygate[alembic]'"
        ) from None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            directory = alembic_scripts.directory(folder, ini)
            found = list(directory.walk_revisions())
            heads = tuple(sorted(directory.get_heads()))
    except CommandError as error:
        raise CannotTell(f"Alembic cannot read {folder}: {error}") from error
    except Exception as error:  # a version file is Python and may raise anything
        raise CannotTell(
            f"Alembic cannot load the versions in {folder}: {type(error).__name__}: {error}"
        ) from error
    if not found:
        raise CannotTell(f"there is no migration in {folder}/versions, so the expected version is unknown")
    if not caught and (unread := alembic_scripts.unread(folder, [script.path for script in found])):
        raise CannotTell(
            f"{len(unread)} files in {folder} look like migrations and are in no version folder that Alembic is told of "
            f"({', '.join(unread[:3])}): name the alembic.ini with its `version_locations` as `alembic_ini`"
        )
    revisions = tuple(
        Revision(
            s.revision, _names(s.down_revision), (s.doc or "").strip(), tuple(sorted(set(s._resolved_dependencies)))  # noqa: SLF001 (labels resolved)
        )
        for s in reversed(found)
    )  # fmt: skip
    return Scripts(str(folder), revisions, heads, tuple(str(w.message) for w in caught))


def _names(value: str | Iterable[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def _read_until(
    cluster: Cluster,
    node: Node,
    asked: _Asked,
    wanted: tuple[str, ...],
) -> NodeVersion:
    """Read a replica, and retry briefly while it differs from the primary: replay may be just behind."""
    deadline = time.monotonic() + (0 if node.delayed else _PATIENCE_S)
    while True:
        answer = _read(cluster, node, asked)
        unlike = answer.versions != wanted and not (answer.problem and not answer.missing)
        if not unlike or time.monotonic() > deadline:
            return answer
        time.sleep(0.2)


def _read(cluster: Cluster, node: Node, asked: _Asked) -> NodeVersion:
    primary = node.name == cluster.primary.name
    try:
        rows = cluster.rows(node, asked.query)
    except CannotTell as unknown:
        missing = isinstance(unknown.__cause__, psycopg.errors.UndefinedTable)
        return NodeVersion(node.name, primary, (), missing, None, node.delayed, str(unknown))
    compared = None
    if asked.migrations.tool:
        versions = migration_tools.versions(asked.migrations, rows)
        if asked.parsed is not None:
            compared = migration_tools.TOOLS[asked.migrations.tool].compare(asked.parsed, rows)
    else:
        versions = tuple(sorted("NULL" if row[0] is None else str(row[0]) for row in rows))
    flag, problem = _dirty(cluster, node, asked.dirty) if asked.dirty else (None, "")
    return NodeVersion(node.name, primary, versions, False, flag, node.delayed, problem, compared)


def _dirty(cluster: Cluster, node: Node, query: str | sql.Composable) -> tuple[bool | None, str]:
    """Run the `dirty` query. Only true means that a migration is half done; no row and NULL do not."""
    try:
        answers = [row[0] for row in cluster.rows(node, query)]
    except CannotTell as unknown:
        return None, f"the `dirty` query failed: {unknown}"
    words = [("" if a is None else str(a)).strip().lower() for a in answers]
    if any(word in _TRUE for word in words):
        return True, ""
    if all(word in _FALSE for word in words):
        return False, ""
    return None, f"the `dirty` query on {node.name} returned {answers[0]!r}, neither true nor false"


def _as_tuple(expect: str | list[str] | None) -> tuple[str, ...]:
    return (expect,) if isinstance(expect, str) else tuple(expect or ())


def _unread(node: Node, problem: str) -> NodeVersion:
    return NodeVersion(node.name, False, (), False, None, node.delayed, problem)
