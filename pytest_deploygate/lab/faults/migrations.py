"""Faults of the schema version, and migrations that would do harm."""

from __future__ import annotations

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.state import Lab, LabError, alembic_scripts

#: A version table that lags behind its schema: what seems to be pending is there already, so it cannot be rehearsed well.
_LAGS = {"phase2.migrations": "fail", "guard.migration-lint": "fail"}


def _scripted() -> tuple[str, str]:
    """Return the head of the migrations and the revision before it."""
    try:
        from alembic.script import ScriptDirectory  # noqa: PLC0415 (an extra)
    except ImportError:
        raise LabError("Alembic is not installed: `pip install 'pytest-deploygate[lab]'`") from None
    scripts = ScriptDirectory(str(alembic_scripts()))
    head = scripts.get_current_head()
    revision = scripts.get_revision(head) if head else None
    if revision is None or not isinstance(revision.down_revision, str):
        raise LabError("the lab's migrations have no single head with one before it")
    return revision.revision, revision.down_revision


def _versions(lab: Lab, *versions: str) -> None:
    """Write the version table, in one transaction."""
    rows = ", ".join(f"('{v}')" for v in versions)
    insert = f"INSERT INTO platform.alembic_version VALUES {rows}" if rows else "SELECT 1"
    sql.execute(lab, f"BEGIN; DELETE FROM platform.alembic_version; {insert}; COMMIT")


def _heal(lab: Lab) -> None:
    _versions(lab, _scripted()[0])


def _upcoming(name: str, text: str) -> Change:
    """Return a change that adds a pending migration."""
    return lambda lab: (lab.folder / "upcoming" / name).write_text(text)


def _withdraw(name: str) -> Change:
    return lambda lab: (lab.folder / "upcoming" / name).unlink(missing_ok=True)


BEHIND = Fault(
    "migration-behind",
    "the database is one migration behind the code",
    _LAGS,
    lambda lab: _versions(lab, _scripted()[1]),
    _heal,
    says="alembic upgrade head",
)
UNKNOWN = Fault(
    "migration-unknown",
    "the database is at a revision that is unknown to the code",
    {"phase2.migrations": "fail", "guard.migration-lint": "inconclusive"},
    lambda lab: _versions(lab, "00badc0ffee0"),
    _heal,
    says="00badc0ffee0",
)
NONE = Fault(
    "migration-none",
    "the version table is empty, as after a restore without it",
    _LAGS,
    _versions,
    _heal,
    says="no row",
)
REWRITES = Fault(
    "migration-rewrites-table",
    "the next migration would rewrite platform.readings under an exclusive lock",
    {"guard.migration-lint": "fail"},
    _upcoming(
        "0002_wider.sql",
        "SET lock_timeout = '5s';\nALTER TABLE platform.readings ALTER COLUMN quality TYPE integer;\n",
    ),
    _withdraw("0002_wider.sql"),
    says="rewrites the table",
    scope="phase2 and guard",
)
LOCKS = Fault(
    "migration-locks-table",
    "the next migration builds an index that blocks writes, without a lock_timeout",
    {"guard.migration-lint": "fail"},
    _upcoming("0003_index.sql", "CREATE INDEX readings_value_idx ON platform.readings (value);\n"),
    _withdraw("0003_index.sql"),
    says="CONCURRENTLY",
    scope="phase2 and guard",
)
HIDDEN = Fault(
    "migration-hidden-in-block",
    "the next migration rewrites platform.readings within a DO block, which no reading of its SQL can tell",
    {"guard.migration-lint": "fail"},
    _upcoming(
        "0004_block.sql",
        "SET lock_timeout = '5s';\nDO $$ BEGIN EXECUTE format('ALTER TABLE platform.%I ALTER COLUMN quality TYPE integer',"
        " 'readings'); END $$;\n",
    ),
    _withdraw("0004_block.sql"),
    says="rewrites the table",
    scope="phase2 and guard",
)
REFUSED = Fault(
    "migration-refused",
    "the next migration cannot run: PostgreSQL builds no index concurrently on a partitioned table",
    {"guard.migration-lint": "fail"},
    _upcoming(
        "0005_concurrently.sql",
        "CREATE INDEX CONCURRENTLY readings_value_idx ON platform.readings (value);\n",
    ),
    _withdraw("0005_concurrently.sql"),
    says="ATTACH PARTITION",
    scope="phase2 and guard",
)
