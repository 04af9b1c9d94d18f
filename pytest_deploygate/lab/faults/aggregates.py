"""Faults of the hourly aggregate."""

from __future__ import annotations

from pytest_deploygate.lab import schedule, sql
from pytest_deploygate.lab.faults import Fault, silence, wait_for_job
from pytest_deploygate.lab.state import Lab

_ITEMS = {"phase2.aggregates": "fail"}
_JOB = "refresh-readings-hourly"
_AGE = "UPDATE platform.aggregate_refreshes SET refreshed_at = now() - interval '3 hours'"
_OLD_BUCKET = "(SELECT max(bucket) - interval '3 days' FROM platform.readings_hourly)"


def _lock_out(lab: Lab) -> None:
    """Revoke the job's login: it is still started, and fails."""
    sql.execute(lab, "ALTER ROLE platform_jobs NOLOGIN")
    wait_for_job(lab, _JOB)
    sql.execute(lab, _AGE)


def _let_in(lab: Lab) -> None:
    sql.execute(lab, "ALTER ROLE platform_jobs LOGIN", "SELECT platform.refresh_readings_hourly()")


def _unschedule(lab: Lab) -> None:
    silence(lab, _JOB)


def _reschedule(lab: Lab) -> None:
    schedule.switch_on(lab, _JOB)
    sql.execute(lab, "SELECT platform.refresh_readings_hourly()")


def _recompute(lab: Lab) -> None:
    """Rewrite all rows and refresh the statistics: a check of stale ones would see it."""
    sql.execute(lab, "SELECT platform.refresh_readings_hourly('-infinity')")
    sql.analyze(lab, "platform.readings_hourly")


STALE = Fault(
    "aggregate-stale",
    "the refresh job has failed for three hours: its role may no longer log in",
    _ITEMS,
    _lock_out,
    _let_in,
    says="refresh",
    tests=("test_aggregate_is_fresh_and_right",),
)
UNSCHEDULED = Fault(
    "aggregate-unscheduled",
    "the line of the refresh job is commented out in the crontab; the last refresh is still fresh",
    _ITEMS,
    _unschedule,
    _reschedule,
    says="commented",
    tests=("test_aggregate_is_fresh_and_right",),
)
WRONG_BUCKET = Fault(
    "aggregate-wrong-bucket",
    "one bucket of about 17,000 has a wrong mean",
    _ITEMS,
    lambda lab: sql.execute(
        lab,
        f"UPDATE platform.readings_hourly SET avg = avg + 0.5 WHERE sensor_id = 5 AND bucket = {_OLD_BUCKET}",
    ),
    _recompute,
    says="1 of",
    tests=("test_aggregate_is_fresh_and_right",),
)
MISSING_BUCKET = Fault(
    "aggregate-missing-bucket",
    "one bucket of about 17,000 is missing",
    _ITEMS,
    lambda lab: sql.execute(
        lab, f"DELETE FROM platform.readings_hourly WHERE sensor_id = 9 AND bucket = {_OLD_BUCKET}"
    ),
    _recompute,
    says="missing",
    tests=("test_aggregate_is_fresh_and_right",),
)
