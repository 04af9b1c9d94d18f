"""What a restore and subscriptions do on the target: jobs of pg_restore, index builds, and changes that arrive.

pg_restore calls itself `pg_restore` in `application_name`, each of its jobs has a session of its own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field

from pytest_deploygate.checks.migration.facts import Applied, Build, RestoreJob
from pytest_deploygate.clients.postgres.one_moment import Ask
from pytest_deploygate.lazy import dataclass

_BUILDS = """
SELECT p.pid, coalesce(nullif(p.index_relid, 0)::regclass::text, 'an index of ' || p.relid::regclass::text), p.phase,
  CASE WHEN p.blocks_total > 0 THEN p.blocks_done::float8 / p.blocks_total
       WHEN p.tuples_total > 0 THEN p.tuples_done::float8 / p.tuples_total END
FROM pg_stat_progress_create_index p WHERE p.datname = current_database() ORDER BY 1
"""
_JOBS = """
SELECT a.pid, left(regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 80), a.state,
  greatest(extract(epoch FROM clock_timestamp() - coalesce(a.query_start, a.backend_start)), 0)::float8,
  (SELECT string_agg('process ' || b.pid || coalesce(' (' || nullif(b.application_name, '') || ')', ''), ', ' ORDER BY b.pid)
   FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(a.pid)))
FROM pg_stat_activity a WHERE a.datname = current_database() AND a.application_name = 'pg_restore' ORDER BY 1
"""
_SUBSCRIPTIONS = """
SELECT s.subname::text, coalesce(s.subslotname::text, ''), s.subenabled, EXISTS (
  SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.pid IS NOT NULL)
FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database() ORDER BY 1
"""
_LAGS = """
SELECT slot_name::text, greatest(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), confirmed_flush_lsn), 0)::bigint
FROM pg_replication_slots WHERE slot_name = ANY (%s) AND confirmed_flush_lsn IS NOT NULL
"""


@dataclass(frozen=True)
class Look:
    """What was there at one look: index builds and jobs by process, subscriptions, and the lag of their slots."""

    builds: dict[int, tuple[str, str, float | None]]
    jobs: dict[int, tuple[str, str, float, str | None]]
    subscriptions: tuple[tuple[str, str, bool, bool], ...]
    lags: dict[str, int] = field(default_factory=dict)


def look(ask: Ask) -> Look:
    """Look at the target once. Raises CannotTell."""
    return Look(
        {int(pid): (str(name), str(phase), share) for pid, name, phase, share in ask(_BUILDS)},
        {int(pid): (query, state or "", float(s), by) for pid, query, state, s, by in ask(_JOBS)},
        tuple((name, slot, enabled, worker) for name, slot, enabled, worker in ask(_SUBSCRIPTIONS)),
    )


def lags(ask: Ask, subscriptions: tuple[tuple[str, str, bool, bool], ...]) -> dict[str, int]:
    """Return how many bytes each subscription's slot on the source has not confirmed. Raises CannotTell."""
    return {slot: int(size) for slot, size in ask(_LAGS, ([slot for _, slot, _, _ in subscriptions],))}


def builds(looked: list[Look]) -> tuple[Build, ...]:
    """Return the builds that run at the last look."""
    return tuple(
        Build(name, pid, phase, tuple(one.builds[pid][2] for one in looked if pid in one.builds))
        for pid, (name, phase, _) in looked[-1].builds.items()
    )


def jobs(looked: list[Look]) -> tuple[RestoreJob, ...]:
    """Return the jobs that were there at each look. An idle session is none: it has done its share, or leads the others."""
    found = []
    for pid, (statement, state, seconds, by) in looked[-1].jobs.items():
        if any(pid not in one.jobs for one in looked) or state == "idle":
            continue
        waited = all(one.jobs[pid][3] for one in looked)
        found.append(RestoreJob(pid, statement, seconds, (by or "") if waited else ""))
    return tuple(found)


def applied(looked: list[Look]) -> tuple[Applied, ...]:
    """Return the subscriptions of the last look, with their lag at each."""
    lag: defaultdict[str, list[int]] = defaultdict(list)
    for one in looked:
        for slot, size in one.lags.items():
            lag[slot].append(size)
    return tuple(
        Applied(name, slot, enabled, worker, tuple(lag[slot]))
        for name, slot, enabled, worker in looked[-1].subscriptions
    )
