"""Measurements of backups, archiving and restores, as frozen values: no I/O, no limits."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Literal

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Archiver:
    """The archiver's state in the server. `streamed_lag_s` is that of the backup tool's WAL receiver, None without one."""

    mode: str
    timeout_s: int
    segment_bytes: int
    archived: int
    last_archived: str
    last_archived_at: datetime | None
    failed: int
    last_failed: str
    last_failed_at: datetime | None
    waiting: int
    streamed_lag_s: float | None


@dataclass(frozen=True)
class Mark:
    """A marker row of `run` with the position after its commit, and the segment that ended with the switch after it."""

    run: str
    table: str
    at: datetime
    position: int
    segment: str


@dataclass(frozen=True)
class Archiving:
    """The result for one marker. `stored` is whether the segment is in the archive (None: the server never reported it).

    `gap` are segments missing between `since` (the newest full backup) and the marker.
    """

    tool: str
    continuous: bool
    before: Archiver
    after: Archiver
    mark: Mark
    archived_s: float | None
    stored: bool | None
    since: str = ""
    checked: int = 0
    gap: tuple[str, ...] = ()
    gap_problem: str = ""
    now: datetime | None = None
    lag: OwnLag = field(default_factory=OwnLag)


@dataclass(frozen=True)
class Live:
    """The cluster that the inventory names: its system identifier, and its database. `problem`: why it is unknown."""

    database: str
    system_id: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Repository:
    """The newest backup, the newest full one, how many full ones, and the store.

    `unreachable` states why nothing could be read; the rest is then empty. `ours`: our own side is the cause, e.g. a name
    that does not resolve here or a login that the host does not know.
    """

    tool: str
    host: str
    now: datetime
    newest: BackupSet | None = None
    newest_full: BackupSet | None = None
    full_count: int = 0
    store: Store | None = None
    unreachable: str = ""
    ours: bool = False
    live: Live | None = None


@dataclass(frozen=True)
class Verified:
    """The newest full backup and the result of the tool's own check; None if there is nothing to check.

    `problem` is why there is no result, or what it leaves open.
    """

    tool: str
    now: datetime
    backup: BackupSet | None
    verification: Verification | None
    problem: str = ""
    live: Live | None = None


@dataclass(frozen=True)
class BackupSet:
    """One completed backup. `size_bytes` is its size when restored, `stored_bytes` its size in the repository.

    `error` is what the tool itself reports as wrong with it. `first_wal` and `last_wal` are the segments without which
    it is not consistent (empty for a dump). `needs` are the backups that it refers to. `system_id` is the identifier of the cluster that was backed up, `database`
    the name of the database in a dump; empty where the tool does not say it.
    """

    label: str
    kind: Literal["full", "diff", "incr", "dump"]
    started: datetime
    finished: datetime
    size_bytes: int
    stored_bytes: int
    first_wal: str = ""
    last_wal: str = ""
    error: str = ""
    needs: tuple[str, ...] = ()
    system_id: str = ""
    database: str = ""

    @property
    def full(self) -> bool:
        """True for a backup that needs no other one."""
        return self.kind in ("full", "dump")


@dataclass(frozen=True)
class Store:
    """The repository. `encryption` is empty if there is none, None if that is unknown; the same holds for `retention`.

    `free_bytes` is None if it has no file system that we can query (an object store); `problem` says why. `lacking` says
    what is wrong with each of several repositories.
    """

    where: str
    encryption: str | None
    retention: str | None
    free_bytes: int | None
    problem: str = ""
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verification:
    """The result of the tool's own check of a backup. It proves less than a restore does."""

    label: str
    how: str
    problems: tuple[str, ...]
    took_s: float


@dataclass(frozen=True)
class Trial:
    """An attempt to take a backup. `label` is the new backup if the tool lists it; `problem` is empty for a good one."""

    command: str
    took_s: float
    problem: str
    label: str = ""
    listed: bool = True
    lag: OwnLag = field(default_factory=OwnLag)


@dataclass(frozen=True)
class RestoreFacts:
    """What a restore drill found, or what people recorded after a rehearsal of their own. None means not reached.

    The record's `outcome` is `good`, or the step that failed: `restore` (the tool), `start` (the server), `marker` (recovery
    did not reach it), `isolation`, `indexes`, `contents`. `rto_s` runs from the first command of the restore until the
    restored server answers at the marker. `rpo_s` is the most that could be lost: archive_timeout plus the time until a
    segment is in the archive, or a streaming receiver's lag, or a dump's age. `left` is what was not compared and need not
    be; `uncompared` is what a statement that the copy equals its source would rest on, and could not be compared.
    """

    rto_s: float | None = None
    rpo_s: float | None = None
    by: str = "restore drill"
    backup: str = ""
    backup_finished: datetime | None = None
    marker_at: datetime | None = None
    marker_found: bool | None = None
    copied_s: float | None = None
    recovered_s: float | None = None
    compared_s: float | None = None
    total_s: float | None = None
    tables: int = 0
    rows: int = 0
    differs: tuple[str, ...] = ()
    uncertain_rows: int = 0
    catalog_lines: int = 0
    catalog_differs: tuple[str, ...] = ()
    indexes: int | None = None
    index_problem: str = ""
    sampled: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()
    isolation: dict[str, str] = field(default_factory=dict)
    swept: tuple[str, ...] = ()
    lag: OwnLag = field(default_factory=OwnLag)
