"""Continuous archiving: write a marker, switch its segment, look for it in the archive, and check for gaps.

An archive_command that returned 0 is not enough: the segment must be in the archive under its name.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import psycopg

from pytest_deploygate.checks.backups.facts import Archiver, Archiving, Mark
from pytest_deploygate.checks.backups.probe import wal
from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.model import CannotTell

_POLL_S = 0.1
_LISTING_S = 0.5
_STATE = """
SELECT current_setting('archive_mode'), (SELECT setting::int FROM pg_settings WHERE name = 'archive_timeout'),
    (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
    archived_count, coalesce(last_archived_wal, ''), last_archived_time, failed_count, coalesce(last_failed_wal, ''),
    last_failed_time, (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
    (SELECT extract(epoch FROM coalesce(flush_lag, interval '0')) FROM pg_stat_replication
     WHERE application_name ILIKE '%receive%wal%' AND state = 'streaming' LIMIT 1)::float8
FROM pg_stat_archiver
"""


def state(cluster: Cluster) -> Archiver:
    """Read the archiver's state from the primary. Raises CannotTell."""
    return Archiver(*cluster.rows(cluster.primary, _STATE)[0])


def mark(connection: Connection, mine: markers.Rows) -> Mark:
    """Write a marker row and switch to a new segment. Raises CannotTell without the privilege to switch."""
    connection.execute("SET synchronous_commit = local")
    connection.execute(mine.insert(), (mine.run, 1))
    row = connection.execute("SELECT (pg_current_wal_lsn() - '0/0')::bigint, clock_timestamp()").fetchone()
    try:
        switched = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        raise CannotTell(
            "the gate's role may not switch WAL segments; `GRANT EXECUTE ON FUNCTION pg_switch_wal() TO` it"
        ) from None
    if row is None or switched is None:
        raise CannotTell("the primary returned no position for the marker")
    return Mark(mine.run, ".".join(mine.table._obj), row[1], int(row[0]), switched[0])  # noqa: SLF001


def archive_marker(cluster: Cluster, backups: Backups) -> Archiving:
    """Write a marker, wait for its segment, list the archive, look for gaps. Raises CannotTell."""
    before = state(cluster)
    began = time.monotonic()
    try:
        with markers.rows(cluster) as (connection, mine):
            made = mark(connection, mine)
    except psycopg.Error as error:
        raise CannotTell(f"no marker could be written: {explain(cluster.primary, error)}") from error
    blank = Archiving(backups.tool.name, backups.tool.recovers, before, before, made, None, None)
    if not backups.tool.recovers:
        return replace(blank, now=datetime.now(UTC))
    with own_lag.watching() as lag:
        archived_s, stored = wait(cluster, backups, made, began)
        found = replace(blank, after=state(cluster), archived_s=archived_s, stored=stored, lag=lag.since())
    return replace(_gap(found, backups), now=datetime.now(UTC))


def wait(cluster: Cluster, backups: Backups, made: Mark, began: float) -> tuple[float | None, bool | None]:
    """Wait until the marker's segment is archived; return how long it took, and whether it is in the archive.

    If the server archives by streaming, or not at all, only the archive itself can show it.
    """
    deadline = began + backups.criteria.archive_patience_s
    segment_bytes = 0
    while True:
        now = state(cluster)
        segment_bytes = now.segment_bytes
        if now.mode == "off":
            stored = made.segment in backups.tool.segments()
            if stored:
                return time.monotonic() - began, True
        elif _reached(now.last_archived, made.segment, segment_bytes):
            took = time.monotonic() - began
            return took, made.segment in backups.tool.segments()
        if time.monotonic() > deadline:
            return None, None
        if now.mode != "off" and now.failed and _failing(now):
            # Wait for one more attempt of the archiver (it tries three times, a second apart), not the whole bound.
            deadline = min(deadline, began + 4.0)
        time.sleep(_LISTING_S if now.mode == "off" else _POLL_S)


def _failing(now: Archiver) -> bool:
    last = now.last_archived_at or datetime.min.replace(tzinfo=UTC)
    return now.last_failed_at is not None and now.last_failed_at > last


def _reached(last: str, wanted: str, segment_bytes: int) -> bool:
    if not wal.SEGMENT.fullmatch(last[:24]):
        return False
    return (last[:8], wal.number(last[:24], segment_bytes)) >= (wanted[:8], wal.number(wanted, segment_bytes))


def _gap(found: Archiving, backups: Backups) -> Archiving:
    """Look for segments missing between the newest full backup and the newest segment that was archived."""
    try:
        full = [each for each in backups.listed() if each.full and each.first_wal]
        if not full:
            return replace(found, gap_problem="there is no full backup from which WAL could be complete")
        there = backups.tool.segments()
    except CannotTell as unknown:
        return replace(found, gap_problem=str(unknown))
    size, last = found.after.segment_bytes, found.after.last_archived[:24]
    newest = (
        found.mark.segment if found.stored else last if wal.SEGMENT.fullmatch(last) else full[-1].last_wal
    )
    first = full[-1].first_wal
    gone = wal.missing(there, first, newest, size)
    count = max(0, wal.number(newest, size) - wal.number(first, size) + 1)
    return replace(found, since=full[-1].label, checked=count, gap=gone)
