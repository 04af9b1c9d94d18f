"""Whether the source is at rest or its changes are captured, and whether the target is ready."""

from __future__ import annotations

import contextlib
import time

import psycopg

from pytest_deploygate.checks.migration.facts import Slot, Started
from pytest_deploygate.checks.migration.probe import places, tables
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.postgres import read_only
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.clients.postgres.one_moment import Ask
from pytest_deploygate.model import CannotTell

#: Transactions that have an id have written, or locked rows. Prepared ones have no session.
_WRITERS = """
SELECT 'process ' || pid || ' of ' || coalesce(usename, '?') || coalesce(nullif(' (' || application_name || ')', ' ()'), '')
FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
UNION ALL SELECT 'the prepared transaction ' || gid || ' of ' || owner FROM pg_prepared_xacts WHERE database = current_database()
ORDER BY 1
"""
_LAST_COMMIT = "SELECT timestamp FROM pg_last_committed_xact()"
_TRACKED = "SELECT current_setting('track_commit_timestamp') = 'on'"
_SLOT = """
SELECT slot_name, active, coalesce(wal_status IN ('lost', 'unreserved'), false),
  pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(confirmed_flush_lsn, restart_lsn))::bigint
FROM pg_replication_slots WHERE slot_name = %s
"""


def started(postgres: Cluster, migration: Migration) -> Started:
    """Look at the source twice and at the target once. Raises CannotTell."""
    own = Cluster(migration.source.alone())
    try:
        with contextlib.closing(own.connect(own.primary, read_only=None)) as connection:
            kept = read_only.for_others(connection)
    except psycopg.Error as error:
        raise CannotTell(explain(own.primary, error)) from error
    with places.source(migration) as ask:
        before = tables.read(ask)
        writers = _writers(ask)
    began = time.monotonic()
    _wait(migration.window.total_seconds())
    with places.source(migration) as ask:
        after = tables.read(ask)
        seconds = time.monotonic() - began
        writers = tuple(dict.fromkeys([*writers, *_writers(ask)]))
        tracked = ask(_TRACKED)[0][0]
        last = ask(_LAST_COMMIT) if tracked else []
        name = migration.live.slot if migration.live else None
        slots = ask(_SLOT, (name,)) if name else []
    with places.target(postgres, migration) as ask:
        there = tables.read(ask)
    moved = tables.moved(after, migration)
    written = [(".".join(t), after[t][2] - before[t][2]) for t in moved if t in before]
    targets = [there[name] for name in moved.values() if name in there]
    return Started(
        seconds=seconds,
        read_only=bool(kept.by),
        written=tuple((name, rows) for name, rows in written if rows > 0),
        writers=writers,
        last_commit=last[0][0] if last else None,
        slot=Slot(slots[0][0], slots[0][1], slots[0][2], int(slots[0][3] or 0)) if slots else None,
        tables=len(moved),
        not_there=tuple((".".join(here), ".".join(at)) for here, at in moved.items() if at not in there),
        source_bytes=sum(after[table][1] for table in moved),
        target_bytes=sum(one[1] for one in targets),
        target_rows=sum(one[0] for one in targets),
    )


def _writers(ask: Ask) -> tuple[str, ...]:
    return tuple(text for (text,) in ask(_WRITERS))


def _wait(seconds: float) -> None:
    with stopping.interrupting():
        time.sleep(seconds)
