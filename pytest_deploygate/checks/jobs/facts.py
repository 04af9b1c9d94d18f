"""Measurements of scheduled jobs, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import datetime, timedelta

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class LastRunFacts:
    """The last completed run. `found` is false if there has been none.

    `succeeded` is None if the record does not show it. `exit_code` is None if the source has none.
    """

    kind: str
    where: str
    found: bool = True
    finished: datetime | None = None
    succeeded: bool | None = None
    exit_code: int | None = None
    detail: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ScheduleFacts:
    """A schedule as found. `expressions` are its cron expressions (one per line that names the job), in time zone `zone`.

    A systemd timer has `last_due` (its last trigger) and `next_due` instead of expressions. `dues` are the times at which it
    was due by its calendar, oldest first; None if the host's systemd could not be asked, or if it has no calendar. `enabled` is false for a line that is
    commented out, a timer that is disabled or not active, or an inactive pg_cron job; `detail` says which.
    `wrong` states why the scheduler rejects the entry. `delay` is by how much it may start later than it was due, at random.
    """

    kind: str
    where: str
    found: bool = True
    enabled: bool = True
    expressions: tuple[str, ...] = ()
    zone: str = "UTC"
    last_due: datetime | None = None
    next_due: datetime | None = None
    has_next: bool = True
    detail: str = ""
    wrong: str = ""
    problem: str = ""
    dues: tuple[datetime, ...] | None = None
    delay: timedelta = timedelta(0)


@dataclass(frozen=True)
class JobFacts:
    """A scheduled job: its schedule, its last run, and the time of the measurement."""

    job: str
    schedule: ScheduleFacts
    last_run: LastRunFacts
    now: datetime


def ends(field: str) -> tuple[str, str]:
    """Return the first and the last value of cronie's `a~b`; any other field twice."""
    low, tilde, high = field.partition("~")
    return (low or "0", high or low or "0") if tilde else (field, field)
