"""What is measured of the schema's version and of pending migrations, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import timedelta

from pytest_deploygate.checks.migrations.statements import Statement
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Referenced:
    """A table that a foreign key references: it is locked as well. `size_bytes` is None if it does not exist."""

    table: str
    size_bytes: int | None


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Revision:
    """One migration of the script folder; it follows those of `down`, and needs those of `depends` as well."""

    id: str
    down: tuple[str, ...]
    title: str
    depends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scripts:
    """The script folder: its revisions, oldest first, its heads, and what Alembic complained about."""

    folder: str
    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]
    complaints: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """A tool's rows on one node, compared with its scripts as the tool does.

    `ahead`: some of the `unknown` are newer than all scripts. `unclear` is what neither we nor the rows can tell, each as
    a sentence; `notes` is what was left out on purpose.
    """

    pending: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    ahead: bool = False
    unclear: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ToolAnswer:
    """What the tool itself says, by its own command: which migrations are pending, as it names them."""

    command: str
    pending: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
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
    compared: Compared | None = None


@dataclass(frozen=True)
class SchemaVersions:
    """All nodes, primary first, and the expected versions. `scripts` is None for a plain query.

    `tool` is what the migration tool itself says; None if the inventory names no command for it.
    """

    source: str
    expected: tuple[str, ...]
    scripts: Scripts | None
    nodes: tuple[NodeVersion, ...]
    tool: ToolAnswer | None = None


@dataclass(frozen=True)
class Relation:
    """A live table, quoted as the server does: its size, that with all its children, and its estimated rows.

    `of_extension`: it belongs to an extension. `copied`: the scratch server has it. `children` are the names of its
    partitions, chunks, or tables that inherit from it.
    """

    name: str
    size_bytes: int
    tree_bytes: int
    rows: float
    of_extension: bool = False
    copied: bool = True
    children: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """A lock that a statement held when it ended. `new`: the statement took it, no earlier one of its transaction."""

    relation: str
    mode: str
    new: bool


@dataclass(frozen=True)
class Write:
    """A plan that changes rows of a live table. `condition` is the server's words, empty: none.

    `share` is the part of the rows that it touches by the live statistics, 0 to 1; None if they do not tell.
    """

    relation: str
    condition: str
    share: float | None


@dataclass(frozen=True)
class Observed:
    """What one statement did on the scratch server. Names of relations are those of live ones only.

    `rewritten`: their file changed; `scanned`, `indexed`: read whole, or an index was built on them; `reindexed`: an
    index's file changed. `triggers_off`: session_replication_role was replica. `bare_not_null` are new columns without a default that may not be null. `lock_timeout_ms` is
    how long it may wait for a lock, by the shortest of the limits in force (lock_timeout, statement_timeout), 0 for no
    limit. `depends_on` are tables whose rows decide what it does: a block, a function or a
    program read them.
    """

    source: str
    line: int
    text: str
    tag: str
    held: tuple[Held, ...] = ()
    rewritten: tuple[str, ...] = ()
    reindexed: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    indexed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    bare_not_null: tuple[str, ...] = ()
    writes: tuple[Write, ...] = ()
    depends_on: tuple[str, ...] = ()
    lock_timeout_ms: int = 0
    triggers_off: bool = False
    sqlstate: str = ""
    message: str = ""


@dataclass(frozen=True)
class Rehearsal:
    """The pending migrations, run on a scratch server with the live schema.

    `sources` are the migrations that ran or were tried. `left_out` is what of the live schema could not be copied,
    `problem` why a tool did not run to its end although no statement failed.
    """

    server: str
    sources: tuple[str, ...]
    observed: tuple[Observed, ...]
    relations: tuple[Relation, ...]
    left_out: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class LintFacts:
    """All statements in order. `sources` names the migrations that were read.

    `rehearsal` is None if they were only read; `not_rehearsed` says why, and is empty where nobody asked for more.
    """

    sources: tuple[str, ...]
    steps: tuple[Step, ...]
    slot_limit_bytes: int | None
    replicas: int
    rehearsal: Rehearsal | None = None
    not_rehearsed: str = ""
