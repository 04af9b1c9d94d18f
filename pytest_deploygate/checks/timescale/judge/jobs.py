"""Health of TimescaleDB's jobs: each is scheduled, ran, succeeded, and did so recently.

A policy that exists does not necessarily work, so judges of policies also check what it left undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pytest_deploygate.checks.timescale.facts import Job
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Reading, words_for

#: A job may miss one run: restarts and long runs of other jobs cause that.
MOST_INTERVALS = 2
_MOST_WORDS = 160


@dataclass(frozen=True)
class Health:
    """What is wrong with a job, what is still unknown, and what was read. A job with neither of the first two is healthy."""

    wrong: tuple[str, ...]
    unknown: tuple[str, ...]
    readings: tuple[Reading, ...]
    notes: tuple[str, ...] = ()

    def add_to(self, said: Collector, about: str = "") -> None:
        """Add all of it to a judge's collector; `about` is appended to what is wrong."""
        said.wrong(*(f"{words}{about}" for words in self.wrong))
        said.unknown(*self.unknown)
        said.read(*self.readings)
        said.note(*self.notes)


def health(job: Job, now: datetime, *, outside_scheduler: bool = False) -> Health:
    """Judge one job by `timescaledb_information.job_stats`.

    A job that an outside scheduler runs with `CALL run_job(…)` leaves no statistics: all that can be judged then is
    whether it is switched on.
    """
    if not job.scheduled:
        readings = (Reading(job.name, "switched off", limit="scheduled", ok=False),)
        return Health(
            (f"{job.name} is switched off: SELECT alter_job({job.id}, scheduled => true)",), (), readings
        )
    if outside_scheduler:
        note = f"{job.name} is run by an outside scheduler, which leaves no statistics: judged by what it left undone"
        return Health((), (), (Reading(job.name, "scheduled", limit="scheduled", ok=True),), (note,))
    wrong, unknown = _ran(job, now)
    age = None if job.last_success is None else now - job.last_success
    reading = Reading(
        f"{job.name}, last success",
        "never" if age is None else f"{words_for(age)} ago",
        limit=f"at most {words_for(job.interval * MOST_INTERVALS)} ago ({MOST_INTERVALS} intervals)",
        ok=not wrong and not unknown,
    )
    return Health(wrong, unknown, (reading,))


def _ran(job: Job, now: datetime) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is wrong with a job's runs, and what is unknown while its first run is in progress."""
    running = job.state == "Running"
    if job.last_started is None:
        due = f", it is due at {job.next_start:%Y-%m-%d %H:%M} UTC" if job.next_start else ""
        step = f"CALL run_job({job.id}) runs it now; are background workers running?"
        return (f"{job.name} has never run{due}: {step}",), ()
    if job.last_success is None and running and not job.failures:
        return (), (f"{job.name} is in its first run: check again when it has ended",)
    if job.status != "Success" and not running:
        said = f": {_cut(job.error)}" if job.error else "; its message is in the server's log"
        times = f" ({job.failures} failures)" if job.failures > 1 else ""
        return (f"the last run of {job.name} is {job.status or 'without a result'}{times}{said}",), ()
    if job.last_success is None:
        return (f"{job.name} has never succeeded ({job.failures} failures)",), ()
    age, limit = now - job.last_success, job.interval * MOST_INTERVALS
    if age > limit:
        late = (
            f"{job.name} last succeeded {words_for(age)} ago, but must run every {words_for(job.interval)} (limit "
            f"{words_for(limit)}): are there enough background workers?"
        )
        return (late,), ()
    return (), ()


def of_kind(jobs: Sequence[Job], proc: str) -> Job | None:
    """Return the job of this kind; a table has at most one."""
    return next((job for job in jobs if job.proc == proc), None)


def same(found: timedelta | None, expected: timedelta) -> bool:
    """Compare spans of time. A policy's month counts as 30 days, so from 28 days on a day of difference is ignored."""
    if found is None:
        return False
    slack = timedelta(days=1) if expected >= timedelta(days=28) else timedelta(0)
    return abs(found - expected) <= slack


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_WORDS else text[:_MOST_WORDS] + " …"
