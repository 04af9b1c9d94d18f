"""How far a migration is, by the target's own figures, looked at several times."""

from __future__ import annotations

import time
from collections import defaultdict

from pytest_deploygate.checks.migration.facts import Copy, Filling, Progress
from pytest_deploygate.checks.migration.probe import places, restoring, tables
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.one_moment import Ask

#: So many looks give two rates, and with them an interval.
_LOOKS = 3
_COPIES = """
SELECT p.pid, p.relid::regclass::text, p.tuples_processed, p.bytes_processed, p.bytes_total FROM pg_stat_progress_copy p
WHERE p.command = 'COPY FROM' AND p.datname = current_database() ORDER BY 1
"""
_HAS_COPIES = "SELECT to_regclass('pg_catalog.pg_stat_progress_copy') IS NOT NULL"
_STATES = """
SELECT r.srrelid::regclass::text, r.srsubstate::text FROM pg_subscription_rel r WHERE r.srsubstate NOT IN ('r', 's') ORDER BY 1
"""


def progress(postgres: Cluster, migration: Migration) -> Progress:
    """Look at the target several times within the window. Raises CannotTell."""
    with places.source(migration) as ask:
        here = tables.read(ask)
    began = time.monotonic()
    at_s: list[float] = []
    rows_in: list[int] = []
    looked: list[dict[int, tuple[str, int, int, int]]] = []
    restores: list[restoring.Look] = []
    moved = tables.moved(here, migration)
    for look in range(_LOOKS):
        if look:
            with stopping.interrupting():
                time.sleep(migration.window.total_seconds() / (_LOOKS - 1))
        with places.target(postgres, migration) as ask:
            there = tables.read(ask)
            at_s.append(time.monotonic() - began)
            rows_in.append(sum(there[name][3] for name in moved.values() if name in there))
            looked.append(_copies(ask))
            now = ask("SELECT clock_timestamp()")[0][0]
            not_ready = tuple(ask(_STATES))
            restores.append(restoring.look(ask))
        if restores[-1].subscriptions:
            with places.source(migration) as ask:
                restores[-1].lags.update(restoring.lags(ask, restores[-1].subscriptions))
    return Progress(
        now=now,
        at_s=tuple(at_s),
        tables=tuple(
            Filling(".".join(table), here[table][0], there.get(at, (0, 0, 0, 0))[0])
            for table, at in moved.items()
        ),
        rows_in=tuple(rows_in),
        copies=tuple(_through(looked)),
        not_ready=tuple((name, state) for name, state in not_ready),
        builds=restoring.builds(restores),
        jobs=restoring.jobs(restores),
        applied=restoring.applied(restores),
    )


def _copies(ask: Ask) -> dict[int, tuple[str, int, int, int]]:
    """Return the COPYs that run, by process; PostgreSQL 13 does not tell of them."""
    if not ask(_HAS_COPIES)[0][0]:
        return {}
    return {
        int(pid): (table, int(rows), int(size), int(total)) for pid, table, rows, size, total in ask(_COPIES)
    }


def _through(looked: list[dict[int, tuple[str, int, int, int]]]) -> list[Copy]:
    """Return the COPYs that were there at every look."""
    found: dict[int, list[tuple[str, int, int, int]]] = defaultdict(list)
    for one in looked:
        for pid, said in one.items():
            found[pid].append(said)
    return [
        Copy(said[0][0], pid, tuple(s[1] for s in said), tuple(s[2] for s in said), said[-1][3])
        for pid, said in found.items()
        if len(said) == len(looked) and len({s[0] for s in said}) == 1
    ]
