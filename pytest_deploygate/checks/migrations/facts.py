"""What is measured of the schema's version and of pending migrations, as frozen values: no I/O, no limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pytest_deploygate.checks.migrations.statements import Statement


@dataclass(frozen=True, slots=True)
class Referenced:
    """A table that a foreign key of a statement points to: it is locked, too. `size_bytes` is None where it is not there."""

    table: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a migration, the table that it touches (empty: none that is known), and that table's size.

    `size_bytes` is None where the table is not there yet: made by the migration itself, or misspelt.
    `not_null_checked`: a validated CHECK (column IS NOT NULL) saves the scan of SET NOT NULL.
    """

    file: str
    statement: Statement
    table: str = ""
    size_bytes: int | None = None
    made_here: bool = False
    referenced: tuple[Referenced, ...] = ()


@dataclass(frozen=True, slots=True)
class LintFacts:
    """All statements in their order. `sources` says what was read; `pending` is false when nothing is left to run."""

    sources: tuple[str, ...]
    steps: tuple[Step, ...]
    slot_limit_bytes: int | None
    replicas: int


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration of the script folder; `down` are the revisions that it needs first."""

    id: str
    down: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Scripts:
    """The script folder: its revisions, oldest first, its heads, and what Alembic complained about."""

    folder: str
    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]
    complaints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeVersion:
    """What one node says.

    `missing` is true where the version table is not there. `dirty` is None where it was not asked or where
    the answer was neither true nor false (then `problem` says so). `problem` is set when it could not be read.
    """

    node: str
    primary: bool
    versions: tuple[str, ...]
    missing: bool
    dirty: bool | None
    delayed: timedelta | None
    problem: str


@dataclass(frozen=True, slots=True)
class SchemaVersions:
    """All nodes, primary first, beside the versions that are expected. `scripts` is None for a plain query."""

    source: str
    expected: tuple[str, ...]
    scripts: Scripts | None
    nodes: tuple[NodeVersion, ...]
