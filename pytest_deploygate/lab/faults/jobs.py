"""Faults of the backup job."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pytest_deploygate.lab import jobs, schedule, sql
from pytest_deploygate.lab.backups import ROLE
from pytest_deploygate.lab.faults import Fault, keep_aside, put_back
from pytest_deploygate.lab.state import Lab, LabError, write_whole

_ITEMS = {"phase2.backup-jobs": "fail"}
_JOB = "full-backup"
_AGE = timedelta(days=3)
_MISSED = timedelta(hours=3)


def _fail(lab: Lab) -> None:
    """Run the job, which fails because its role may not log in."""
    sql.execute(lab, f"ALTER ROLE {ROLE} NOLOGIN")
    try:
        jobs.run_now(lab, _JOB)
    except LabError:
        return
    raise LabError("the backup succeeded although its role may not log in")


def _succeed(lab: Lab) -> None:
    sql.execute(lab, f"ALTER ROLE {ROLE} LOGIN")
    if json.loads(lab.job_status(_JOB).read_text())["exit_code"]:
        jobs.run_now(lab, _JOB)


def _grow_old(lab: Lab) -> None:
    """Date the last run three days back, as after a cron that stopped working."""
    _redate(lab, lambda time: time - _AGE)


def _grow_young(lab: Lab) -> None:
    limit = datetime.now(UTC) - _AGE
    _redate(lab, lambda time: time + _AGE if time < limit else time)


def _miss(lab: Lab) -> None:
    """Let the job be due three hours ago, and its last run be from before that: young, but one too few."""
    due = (datetime.now(UTC) - _MISSED).astimezone()
    schedule.move(lab, _JOB, f"{due.minute} {due.hour} * * *")
    keep_aside(lab.job_status(_JOB))
    _redate(lab, lambda time: time - 2 * _MISSED)


def _made_up(lab: Lab) -> None:
    schedule.move(lab, _JOB, schedule.JOBS[_JOB])
    put_back(lab.job_status(_JOB))


def _redate(lab: Lab, change: Callable[[datetime], datetime]) -> None:
    path = lab.job_status(_JOB)
    status = json.loads(path.read_text())
    for name in ("started", "finished"):
        status[name] = change(datetime.fromisoformat(status[name])).isoformat()
    write_whole(path, status)


DISABLED = Fault(
    "backup-timer-disabled",
    "the line of the nightly backup is commented out in the crontab",
    _ITEMS,
    lambda lab: schedule.switch_off(lab, _JOB),
    lambda lab: schedule.switch_on(lab, _JOB),
    says="commented",
)
FAILED = Fault(
    "backup-failed",
    "the last backup failed: its role may no longer log in",
    _ITEMS,
    _fail,
    _succeed,
    says="exit code",
)
STALE = Fault(
    "backup-stale",
    "the last backup that succeeded is three days older than the schedule allows",
    _ITEMS,
    _grow_old,
    _grow_young,
    says="slack",
)
MISSED = Fault(
    "backup-missed",
    "the backup was due three hours ago and did not run; its last run is hours old and succeeded",
    _ITEMS,
    _miss,
    _made_up,
    says="find out why the scheduler did not start it",
)
