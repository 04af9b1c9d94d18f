"""What is measured of scheduled jobs, as frozen values: no I/O, no limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LastRunFacts:
    """The last run that ended. `found` is false when there never was one.

    `succeeded` is None where the record does not tell. `exit_code` is None where the source has none.
    """

    kind: str
    where: str
    found: bool = True
    finished: datetime | None = None
    succeeded: bool | None = None
    exit_code: int | None = None
    detail: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """A schedule as found. `expressions` are its cron times (one a line that names the job) in `zone`.

    A systemd timer has no expressions but `last_due` and `next_due`. `enabled` is false for a line that is
    commented out, a timer that is disabled or not active, an inactive pg_cron job; `detail` says which.
    `wrong` names what keeps the scheduler from taking the entry.
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


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A scheduled job: where it is scheduled, how its last run went, and when we looked."""

    job: str
    schedule: ScheduleFacts
    last_run: LastRunFacts
    now: datetime
