"""Read migrations before they run: their statements, and the current sizes of the tables that they touch."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from glob import glob
from pathlib import Path

import psycopg
from psycopg import sql

from pytest_deploygate.checks.migrations.facts import LintFacts, Referenced, Step
from pytest_deploygate.checks.migrations.probe import alembic_scripts
from pytest_deploygate.checks.migrations.probe.own_files import reading
from pytest_deploygate.checks.migrations.probe.rehearsal.rehearse import rehearse
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.checks.migrations.statements import Statement, statements
from pytest_deploygate.checks.postgres.probe import servers
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.names import identifier
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell, NotCovered

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*))?'
_TABLE = re.compile(
    r"(?:ALTER|TRUNCATE|DROP|LOCK)\s+(?:FOREIGN\s+)?TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?P<a>" + _NAME + ")"
    r"|TRUNCATE\s+(?:ONLY\s+)?(?P<b>" + _NAME + r")|\bON\s+(?:ONLY\s+)?(?P<c>" + _NAME + r")\s*(?:USING|\()"
    r"|^(?:UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?(?P<d>" + _NAME + r")|(?:CLUSTER|VACUUM\s+FULL|VACUUM\s*\(FULL\))\s+"
    r"(?:VERBOSE\s+)?(?P<e>" + _NAME + r")|^REINDEX\s+TABLE\s+(?P<f>" + _NAME + r")|TRIGGER\s+.*\bON\s+(?P<g>" + _NAME + ")"
    r"|REFRESH\s+MATERIALIZED\s+VIEW\s+(?P<h>" + _NAME + r")|\bPARTITION\s+OF\s+(?P<i>" + _NAME + ")",
    re.IGNORECASE,
)  # fmt: skip
_MAKES = re.compile(
    r"CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(" + _NAME + ")", re.IGNORECASE
)
_FOREIGN_KEYS = re.compile(r"^(?:CREATE\b.*\bTABLE|ALTER\s+TABLE)\b", re.IGNORECASE)
_REFERENCES = re.compile(r"\bREFERENCES\s+(?:ONLY\s+)?(" + _NAME + ")", re.IGNORECASE)


_ITEM = "guard.migration-lint"


def pending_migrations(
    cluster: Cluster, lint: MigrationLint, migrations: Migrations | None, budget: Budget | None = None
) -> LintFacts:
    """Rehearse the pending migrations, and read them as a second opinion or where they cannot be rehearsed.

    The rehearsal draws on `budget`; left out, on one that is in no ledger. Raises CannotTell if a file or the primary cannot be read, or NotCovered.
    """
    files = _paths(lint.files)
    texts = _texts(files)
    rehearsal, not_rehearsed = None, ""
    if lint.rehearse:
        try:
            rehearsal = rehearse(cluster, lint, migrations, files, budget or budgets.unrecorded(_ITEM))
        except CannotTell as unknown:
            not_rehearsed = str(unknown)
    if migrations and migrations.alembic and lint.alembic:
        try:
            texts += _alembic(cluster, migrations, lint.alembic_since)
        except CannotTell:
            # Python that asks the database cannot be printed as SQL; where it ran, that is no loss.
            if rehearsal is None or lint.alembic_since:
                raise
    if not texts and not (rehearsal and rehearsal.sources):
        raise CannotTell(
            "there is no migration to read: `files` matches nothing; name the files that are about to run"
            if lint.files
            else "there is no migration to read: name `files`, or `migrations: {alembic: FOLDER}`"
        )
    found = [(name, s, _table(s)) for name, text in texts for s in statements(text)]
    sizes = _sizes(
        cluster,
        {name for _, statement, table in found for name in (table, *referenced_by(statement)) if name},
    )
    state = servers.server_state(cluster, cluster.primary)
    limit = state.sizes.get("max_slot_wal_keep_size")
    made: set[str] = set()
    steps = []
    for name, statement, table in found:
        if created := _MAKES.match(statement.bare):
            made.add(_plain(created[1]))
        old = tuple(
            Referenced(other, sizes.get(other)) for other in referenced_by(statement) if other not in made
        )
        steps.append(Step(name, statement, table, sizes.get(table), table in made, old))
    return LintFacts(
        tuple(name for name, _ in texts),
        tuple(steps),
        limit if limit and limit > 0 else None,
        len(cluster.replicas),
        rehearsal,
        not_rehearsed,
    )


def _table(statement: Statement) -> str:
    found = _TABLE.search(statement.bare)
    return _plain(next((name for name in found.groups() if name), "")) if found else ""


def referenced_by(statement: Statement) -> tuple[str, ...]:
    """Return the tables that the foreign keys of a statement reference, each once."""
    if not _FOREIGN_KEYS.match(statement.bare):
        return ()
    return tuple(dict.fromkeys(_plain(name) for name in _REFERENCES.findall(statement.bare)))


def _plain(name: str) -> str:
    parts = re.findall(r'"(?:[^"]|"")+"|[\w$]+', name)
    return ".".join(p[1:-1].replace('""', '"') if p.startswith('"') else p.lower() for p in parts)


def _paths(patterns: Iterable[Path]) -> list[Path]:
    """Return the files that patterns name, in the order in which tools run them, without those that undo."""
    found: list[Path] = []
    for pattern in patterns:
        matches = [Path(p) for p in glob(str(pattern))]  # noqa: PTH207 (a whole path with wildcards)
        for path in matches:
            found += _below(path) if path.is_dir() else [path]
    ups = [path for path in dict.fromkeys(found) if not re.search(r"(\.down\.sql|^U\d.*\.sql)$", path.name)]
    return sorted(ups, key=_order)


def _below(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.suffix.lower() == ".sql" and p.is_file()]


def _texts(files: Iterable[Path]) -> list[tuple[str, str]]:
    texts = []
    for path in files:
        with reading(path):
            texts.append((path.name, bounded.text(path, bounded.SQL)))
    return texts


def _order(path: Path) -> tuple[list[int], str]:
    """Sort V2 before V10, as the tools run them."""
    return [int(n) for n in re.findall(r"\d+", path.name)][:4], path.name


def _alembic(cluster: Cluster, migrations: Migrations, since: str | None) -> list[tuple[str, str]]:
    """Have Alembic itself print the SQL from the database's revision, or from `since`, to the head."""
    try:
        from alembic.operations import Operations  # noqa: PLC0415 (an extra)
        from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    except ImportError:
        raise NotCovered(
            "Alembic is not installed here, so its migrations cannot be read; run: pip install 'pytest-deploygate[alembic]'"
        ) from None
    try:
        scripts = alembic_scripts.directory(migrations.alembic or Path(), migrations.alembic_ini)
        base = since or _revisions(cluster, migrations)
        texts = []
        for script in reversed(list(scripts.iterate_revisions("heads", base or "base", implicit_base=True))):
            buffer = io.StringIO()
            context = MigrationContext.configure(
                dialect_name="postgresql", opts={"as_sql": True, "output_buffer": buffer}
            )
            with Operations.context(context):
                script.module.upgrade()
            texts.append((Path(script.path).name, buffer.getvalue()))
    except CannotTell:
        raise
    except Exception as error:  # a version file is Python and may raise anything
        raise CannotTell(
            f"Alembic cannot print the SQL of the migrations in {migrations.alembic}: {type(error).__name__}: {error}"
        ) from error
    at = base if isinstance(base, str) else ", ".join(base)
    return texts or [(f"Alembic from {at or 'the base'} to the head: nothing is pending", "")]


def _revisions(cluster: Cluster, migrations: Migrations) -> tuple[str, ...]:
    """Return all rows of the version table: one for each branch; none if it does not exist yet."""
    name = migrations.table
    query = sql.SQL("SELECT version_num FROM {}").format(identifier(name))
    try:
        return tuple(str(row[0]) for row in cluster.rows(cluster.primary, query))
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, psycopg.errors.UndefinedTable):
            return ()
        raise


def _sizes(cluster: Cluster, tables: set[str]) -> dict[str, int]:
    """Return the size of each table with its partitions; one statement for all."""
    query = """
SELECT name, (SELECT sum(pg_table_size(part.relid)) FROM (SELECT relid FROM pg_partition_tree(oid)
    UNION SELECT oid) AS part)::int8
FROM (SELECT name, to_regclass(quoted) AS oid FROM unnest(%s::text[], %s::text[]) AS t (name, quoted)) AS found
WHERE oid IS NOT NULL
"""
    names = sorted(tables)
    quoted = [".".join(f'"{part}"' for part in name.replace('"', '""').split(".")) for name in names]
    return dict(cluster.rows(cluster.primary, query, (names, quoted))) if tables else {}
