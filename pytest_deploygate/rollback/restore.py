"""Restoring the database in place with the project's backup tool: it is recovered before it replaces the current one.

Idempotent: the folders show how far a crashed restore got, and each part is done once. Until the two renames nothing
of the old server has changed; after them its data is kept under a dated name.
"""

from __future__ import annotations

import contextlib
import shlex
from datetime import UTC, datetime

import psycopg

from pytest_deploygate.checks.backups import section as backups_section
from pytest_deploygate.checks.backups.facts import BackupSet
from pytest_deploygate.checks.backups.probe import named_tool, scratch
from pytest_deploygate.checks.backups.probe.scratch import Programs
from pytest_deploygate.checks.backups.probe.tools import Tool
from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.checks.way_back.section.rollback import Step
from pytest_deploygate.checks.way_back.section.rollback_actions import CUTOVER, DatabaseRestore
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, words_for_bytes
from pytest_deploygate.rollback import cutover
from pytest_deploygate.rollback.in_place import Folder, Note, State
from pytest_deploygate.rollback.verification import Verified

_MOST_WAL_BYTES = 1024**3
_NO_BEFORE = "the restore stops here: no server was stopped, and the old data is unchanged"


@dataclass(frozen=True)
class Restore:
    """A restore with what it works on. `key` identifies it after a crash."""

    wanted: DatabaseRestore
    inventory: Inventory
    change: str
    key: str
    within_s: float
    mark: int | None = None

    @property
    def point(self) -> str:
        """The name of the restore point, with the change filled in; empty for a restore to a time."""
        return (self.wanted.point or "").replace("{change}", self.change)


def of(step: Step, inventory: Inventory | None, change: str, key: str, mark: int | None = None) -> Restore:
    """Return a step's restore. Raises CannotTell if the inventory lacks what it needs."""
    if (
        step.restore is None
        or inventory is None
        or inventory.of(backups_section.Keys).backup is None
        or inventory.database is None
    ):
        raise CannotTell("a restore needs the inventory's sections `backup` and `database`: add them")
    return Restore(step.restore, inventory, change, key, step.within.total_seconds(), mark)


def plan(restore: Restore) -> str:
    """Describe what would be done. Raises CannotTell for anything that would prevent it."""
    tool, folder = _tool(restore), _folder(restore)
    state = folder.state()
    _possible(folder, state)
    chosen = _choose(restore, tool)
    _programs(restore, folder)
    free = scratch.room(folder.place, _parent(folder), _needed(chosen), restore.wanted.spare)
    return (
        f"restore {chosen.label} ({words_for_bytes(chosen.size_bytes)}) with {tool.name} to {_target_words(restore)},"
        f" keep {folder.data} aside; {words_for_bytes(free)} free"
    )


def do(restore: Restore) -> str:
    """Restore, resuming where a crash left off. Return what went wrong."""
    try:
        folder = _folder(restore)
        state = folder.state()
        if not _is_ours(state.note, restore):
            note = state.ready if _is_ours(state.ready, restore) else None
            _put_in_place(restore, folder, note or _prepare(restore, folder, state))
        folder.clear()
    except CannotTell as unknown:
        return str(unknown)
    ran = commands.run(
        restore.wanted.start, host=restore.wanted.host, within_s=restore.within_s, mark=restore.mark
    )
    return (
        f"`{ran.command}` {ran.problem}; the restored data is in place and the server is down"
        if ran.problem
        else ""
    )


def verify(restore: Restore) -> Verified:
    """Check which restore the folder holds, and by query that the server uses it and accepts writes."""
    try:
        note = _folder(restore).state().note
    except CannotTell as unknown:
        return Verified(False, str(unknown))
    if note is None or not _is_ours(note, restore):
        return Verified(False, f"{restore.wanted.data} is not the restored data folder")
    cluster = Cluster(restore.inventory.database, None)  # type: ignore[arg-type]
    try:
        # The name of the current segment begins with the timeline; in recovery the query is an error.
        segment = cluster.value(cluster.primary, "SELECT pg_walfile_name(pg_current_wal_lsn())")
    except (CannotTell, psycopg.Error) as error:
        return Verified(False, f"the restored server does not answer: {' '.join(str(error).split())}")
    finally:
        cluster.close()
    if int(str(segment)[:8], 16) != note.timeline:
        return Verified(
            False,
            f"the server writes timeline {str(segment)[:8]}, but the restored data is on {note.timeline}",
        )
    said = f"backup {note.backup} at {note.target}, in use and writing timeline {note.timeline}; the old data is in {note.aside}"
    return Verified(True, said)


def _prepare(restore: Restore, folder: Folder, state: State) -> Note:
    """Restore and recover beside the data in use. Raises CannotTell; nothing was stopped then."""
    _possible(folder, state)
    folder.clear()
    try:
        return _recovered_beside(restore, folder)
    except CannotTell:
        # A failed restore is useless and takes as much space as the database.
        with contextlib.suppress(CannotTell):
            folder.clear()
        raise


def _recovered_beside(restore: Restore, folder: Folder) -> Note:
    tool = _tool(restore)
    chosen = _choose(restore, tool)
    programs = _programs(restore, folder)
    scratch.room(folder.place, _parent(folder), _needed(chosen), restore.wanted.spare)
    target = folder.make()
    done = tool.restore(chosen, target, folder.place)
    if done.code:
        raise CannotTell(f"{tool.name} could not restore {chosen.label}: {done.said}; {_NO_BEFORE}")
    section = restore.inventory.of(backups_section.Keys).backup
    command = (section.restore_command if section else None) or ""
    # What is not archived yet is still on the server that will be replaced.
    fetch = f'{command or tool.restore_command(target)} || cp {shlex.quote(folder.data)}/pg_wal/%f "%p"'
    settings = _target(restore) | {"restore_command": fetch}
    database = restore.inventory.database
    who = (database.user, database.name) if database else ("", "")
    config = str(restore.wanted.config or "")
    if problem := folder.recover(programs, settings, config, who, restore.within_s):
        raise CannotTell(f"{chosen.label}, to {_target_words(restore)}: {problem}; {_NO_BEFORE}")
    return folder.finish(programs, restore.key, chosen.label, _target_words(restore), datetime.now(UTC))


def _put_in_place(restore: Restore, folder: Folder, note: Note) -> None:
    """Stop the server and swap the folders. Raises CannotTell."""
    if folder.state().pid:
        wanted = restore.wanted
        ran = commands.run(wanted.stop, host=wanted.host, within_s=restore.within_s, mark=restore.mark)
        if ran.problem:
            raise CannotTell(f"`{ran.command}` {ran.problem}; {_NO_BEFORE.partition(':')[0]}")
    if pid := folder.state().pid:
        raise CannotTell(
            f"`{restore.wanted.stop}` ended with 0 but the server (process {pid}) is still running; {_NO_BEFORE}"
        )
    done = folder.swap(note)
    if done.code:
        raise CannotTell(
            f"the folders could not be swapped: {done.said}; the server is down, the old data is in {folder.data} or"
            f" {note.aside}, the restored data in {folder.beside}/data"
        )


def _possible(folder: Folder, state: State) -> None:
    """Raise CannotTell for what an in-place restore cannot handle."""
    if folder.place.whoami == "root":
        raise CannotTell("PostgreSQL does not run as root: set `restore.user` or `backup.user`")
    if state.foreign:
        raise CannotTell(f"{folder.beside} exists and was not created by deploygate: move it away")
    if not state.there and state.ready is None:
        raise CannotTell(f"{folder.data} on {folder.place.name} is not a PostgreSQL data folder")
    if state.fixed:
        raise CannotTell(
            f"{folder.data} is {state.fixed} and cannot be renamed: restore with a command (`run`)"
        )
    if state.links:
        raise CannotTell(
            f"{folder.data} has parts elsewhere ({', '.join(state.links)}: tablespaces, pg_wal): restore with a command (`run`)"
        )


def _choose(restore: Restore, tool: Tool) -> BackupSet:
    """Return the newest backup from before the wanted moment. Raises CannotTell."""
    if not tool.recovers:
        raise CannotTell(f"{tool.name}: a dump holds one moment only; restore with a command (`run`)")
    limit = _moment(restore) or cutover.declared(restore.inventory.of(way_back.Keys).rollback)
    usable = [one for one in tool.backups() if not one.error and (limit is None or one.finished <= limit)]
    if not usable:
        before = f" from before {limit:%Y-%m-%d %H:%M:%S} UTC" if limit else ""
        raise CannotTell(f"{tool.name} has no backup{before} that can be restored")
    return usable[-1]


def _moment(restore: Restore) -> datetime | None:
    """Return the time to restore to, None for a restore point. Raises CannotTell if the cutover is not known."""
    time = restore.wanted.time
    if time is None:
        return None
    if time != CUTOVER:
        return datetime.fromisoformat(time).astimezone(UTC)
    found = cutover.declared(restore.inventory.of(way_back.Keys).rollback)
    if found is None:
        raise CannotTell("the time of the cutover is not known: set `rollback.cutover` or `cutover_file`")
    return found


def _target(restore: Restore) -> dict[str, str]:
    """Return the settings for the recovery target (PostgreSQL's manual, 20.5.6)."""
    moment = _moment(restore)
    if moment is None:
        return {"recovery_target_name": restore.point}
    return {"recovery_target_time": f"{moment:%Y-%m-%d %H:%M:%S.%f+00}", "recovery_target_inclusive": "off"}


def _target_words(restore: Restore) -> str:
    moment = _moment(restore)
    return f"restore point {restore.point}" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _needed(chosen: BackupSet) -> int:
    return chosen.size_bytes + min(_MOST_WAL_BYTES, chosen.size_bytes + 8 * 16 * 1024**2)


def _programs(restore: Restore, folder: Folder) -> Programs:
    """Return the PostgreSQL programs for the data folder's version. Raises CannotTell."""
    for where in (folder.data, f"{folder.beside}/data"):
        done = folder.place.run("cat {}", f"{where}/PG_VERSION")
        if done.code == 0 and done.output.strip().isdigit():
            return scratch.programs(folder.place, str(restore.wanted.programs or ""), int(done.output))
    raise CannotTell(f"{folder.data} on {folder.place.name} does not show its PostgreSQL version")


def _tool(restore: Restore) -> Tool:
    return named_tool.tool(restore.inventory.of(backups_section.Keys).backup)  # type: ignore[arg-type]


def _folder(restore: Restore) -> Folder:
    backup, wanted = restore.inventory.of(backups_section.Keys).backup, restore.wanted
    env = {"PGPASSFILE": str(backup.passfile)} if backup and backup.passfile else {}
    place = Place(wanted.host, wanted.user or (backup.user if backup else None), env)
    return Folder(place, str(wanted.data).rstrip("/"))


def _parent(folder: Folder) -> str:
    return folder.data.rpartition("/")[0] or "/"


def _is_ours(note: Note | None, restore: Restore) -> bool:
    return note is not None and note.key == restore.key
