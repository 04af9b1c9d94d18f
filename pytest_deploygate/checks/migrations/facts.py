"""What is measured of the schema's version and of pending migrations, as frozen values: no I/O, no limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pytest_deploygate.checks.migrations.statements import Statement


@dataclass(frozen=True, slots=True)
class Referenced:
    """A table that a foreign key references: it is locked as well. `size_bytes` is None if it does not exist."""

    table: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a migration, the table that it touches (empty if unknown), and that table's size.

    `size_bytes` is None if the table does not exist yet: created by the migration itself, or misspelt.
    """

    file: str
    statement: Statement
    table: str = ""
    size_bytes: int | None = None
    made_here: bool = False
    referenced: tuple[Referenced, ...] = ()


@dataclass(frozen=True, slots=True)
class LintFacts:
    """All statements in order. `sources` names the migrations that were read."""

    sources: tuple[str, ...]
    steps: tuple[Step, ...]
    slot_limit_bytes: int | None
    replicas: int


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration of the script folder; `down` are the revisions that must be applied before it."""

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
    """What one node reports.

    `missing` is true if the version table does not exist. `dirty` is None if it was not queried, or if the answer
    was neither true nor false (see `problem`). `problem` is set if the node could not be read.
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
    """All nodes, primary first, and the expected versions. `scripts` is None for a plain query.

    `not_compared` are Django apps that have run migrations on the primary, and of which the project has none.
    """

    source: str
    expected: tuple[str, ...]
    scripts: Scripts | None
    nodes: tuple[NodeVersion, ...]
    not_compared: tuple[str, ...] = ()
