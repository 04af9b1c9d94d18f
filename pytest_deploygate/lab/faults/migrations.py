"""Faults of the schema version."""

from __future__ import annotations

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.state import Lab, LabError, alembic_scripts

_ITEMS = {"phase2.migrations": "fail"}


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


BEHIND = Fault(
    "migration-behind",
    "the database is one migration behind the code",
    _ITEMS,
    lambda lab: _versions(lab, _scripted()[1]),
    _heal,
    says="alembic upgrade head",
)
UNKNOWN = Fault(
    "migration-unknown",
    "the database is at a revision that the code does not know",
    _ITEMS,
    lambda lab: _versions(lab, "00badc0ffee0"),
    _heal,
    says="00badc0ffee0",
)
NONE = Fault(
    "migration-none",
    "the version table is empty, as after a restore that left it out",
    _ITEMS,
    _versions,
    _heal,
    says="no row",
)
