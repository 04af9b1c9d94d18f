"""Look for rows in the newest backup: restored, recovered to a position after them, and asked."""

from __future__ import annotations

import time

import psycopg

from pytest_deploygate.checks.backups.facts import BackupSet, Mark
from pytest_deploygate.checks.backups.probe import archiving, drill, scratch, source
from pytest_deploygate.checks.backups.probe.scratch import Instance, Programs
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.checks.backups.section import Scratch
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.clients.postgres import beside, markers
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.model import CannotTell


def look_in_backup(
    cluster: Cluster, backups: Backups, mine: markers.Rows, budget: Budget
) -> tuple[str, list[int], float]:
    """Return the backup's label, the ids that it has once recovered, and how long that took. Raises CannotTell."""
    began = time.monotonic()
    criteria = backups.criteria.scratch
    if criteria is None:
        raise CannotTell("no scratch server is named for a restore; add `backup.scratch`")
    if not backups.tool.recovers:
        raise CannotTell(
            f"{backups.tool.name} keeps dumps, which end before these writes: what is written after a dump is lost with the "
            "server; archive WAL to keep it"
        )
    sets = backups.listed()
    if not sets:
        raise CannotTell(f"{backups.tool.name} has no backup to restore: take a full one")
    facts = source.facts(cluster)
    place = Place(criteria.host, criteria.user or backups.criteria.user, backups.tool.place.env)
    if place.whoami == "root":
        raise CannotTell("PostgreSQL refuses to run as root: name another user with `backup.scratch.user`")
    programs = scratch.programs(place, str(criteria.programs or ""), facts.major)
    scratch.sweep(place, str(criteria.folder))
    newest = sets[-1]
    scratch.room(place, str(criteria.folder), 2 * newest.size_bytes, criteria.spare)
    mark = _marked(cluster, backups)
    with (
        Instance(place, str(criteria.folder)) as instance,
        beside.asking(cluster) as answers,
        budget.probe("restore of the writes", control=answers, connects=False) as spending,
    ):
        spending.leaves(f"{instance.root} on {place.name}", instance.gone)
        spending.expects(newest.size_bytes)
        spending.take(opens=0)
        _recover(cluster, backups, facts, (instance, programs, place), newest, mark, criteria)
        ids = _ids(cluster, facts, instance, programs, mine)
        spending.give(closes=0, received_bytes=newest.size_bytes)
    return newest.label, ids, time.monotonic() - began


def _marked(cluster: Cluster, backups: Backups) -> Mark:
    """Write a marker after the rows and wait until its segment is archived. Raises CannotTell."""
    began = time.monotonic()
    try:
        with markers.rows(cluster) as (connection, other):
            made = archiving.mark(connection, other)
            archived_s, _ = archiving.wait(cluster, backups, made, began)
    except psycopg.Error as error:
        raise CannotTell(f"no marker could be written: {explain(cluster.primary, error)}") from error
    if archived_s is None:
        raise CannotTell(
            f"the segment {made.segment} with the writes was not archived within {time.monotonic() - began:.0f} s, so no "
            "backup has them yet: see db.continuous-backup"
        )
    return made


def _recover(
    cluster: Cluster,
    backups: Backups,
    facts: source.Facts,
    where: tuple[Instance, Programs, Place],
    newest: BackupSet,
    mark: Mark,
    criteria: Scratch,
) -> None:
    """Restore and recover up to the marker, paused and read-only. Raises CannotTell."""
    instance, programs, place = where
    done = backups.tool.restore(newest, instance.data, place)
    if done.code:
        raise CannotTell(f"{backups.tool.name} could not restore {newest.label}: {done.said}")
    command = backups.criteria.restore_command or backups.tool.restore_command(instance.data)
    settings = drill.base_settings(instance, facts) | {
        "restore_command": command,
        "recovery_target_lsn": f"{mark.position >> 32:X}/{mark.position & 0xFFFFFFFF:X}",
        "recovery_target_timeline": "latest",
        "recovery_target_action": "pause",
        "hot_standby": "on",
    }
    started = instance.start(programs, settings, recover=True)
    if started.code:
        raise CannotTell(f"the restored server does not start: {instance.log() or started.said}")
    paused = "pg_get_wal_replay_pause_state()" if facts.major >= 14 else (
        "CASE WHEN pg_is_wal_replay_paused() THEN 'paused' ELSE 'replaying' END"
    )  # fmt: skip
    waited = instance.wait_paused(
        programs, facts.superuser, cluster.settings.name, f"SELECT {paused}", criteria.patience_s
    )
    if waited.code:
        raise CannotTell(
            f"the recovery of {newest.label} did not reach the end of the writes (segment {mark.segment}): {instance.log()}"
        )


def _ids(
    cluster: Cluster, facts: source.Facts, instance: Instance, programs: Programs, mine: markers.Rows
) -> list[int]:
    table = mine.table.as_string()
    query = f"SELECT 'id', id FROM {table} WHERE run = '{mine.run}'"  # noqa: S608 (a quoted name and our own uuid)
    done = instance.psql(programs, facts.superuser, cluster.settings.name, query, 300)
    if done.code:
        if "does not exist" in done.said:
            return []
        raise CannotTell(f"the restored database cannot be read: {done.said}")
    return [int(line.split("\t")[1]) for line in done.output.splitlines() if line.startswith("id\t")]
