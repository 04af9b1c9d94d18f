"""Faults of the day partitions."""

from __future__ import annotations

from pytest_deploygate.lab import schedule, sql
from pytest_deploygate.lab.faults import Fault, silence
from pytest_deploygate.lab.state import Lab

_ITEMS = {"phase2.partitioning": "fail", "db.partitioning": "fail"}
_SCOPE = "phase2 or preflight and database"
_JOB = "ensure-partitions"
_STRAY = "timestamptz '2001-01-01 10:05+00'"
_DROP_AHEAD = """
DO $$ DECLARE d date; BEGIN
    SET LOCAL timezone = 'UTC';
    FOR d IN SELECT current_date + n FROM generate_series({first}, {last}) AS n LOOP
        EXECUTE format('DROP TABLE IF EXISTS platform.%I', 'readings_' || to_char(d, 'YYYYMMDD'));
    END LOOP;
END $$
"""


def _strand_rows(lab: Lab) -> None:
    """Put rows where no day has a partition; the aggregate knows them, so nothing but their place is wrong."""
    sql.execute(
        lab,
        f"INSERT INTO platform.readings SELECT s, {_STRAY}, 50, 0 FROM generate_series(1, 3) AS s",
        "INSERT INTO platform.readings_hourly SELECT sensor_id, date_trunc('hour', recorded_at), 1, value, value,"
        " value FROM ONLY platform.readings_default",
    )


def _take_rows_back(lab: Lab) -> None:
    sql.execute(
        lab,
        f"DELETE FROM platform.readings WHERE recorded_at = {_STRAY}",
        f"DELETE FROM platform.readings_hourly WHERE bucket = date_trunc('hour', {_STRAY})",
    )


def _drop_days(lab: Lab, first: int, last: int) -> None:
    silence(lab, _JOB)
    sql.execute(lab, _DROP_AHEAD.format(first=first, last=last))


def _make_days(lab: Lab) -> None:
    schedule.switch_on(lab, _JOB)
    sql.execute(lab, "SELECT platform.ensure_partitions()")


IN_DEFAULT = Fault(
    "partition-rows-in-default",
    "three readings with a wrong clock are in the default partition",
    # Rows of 2001 are also older than any policy keeps them.
    {**_ITEMS, "db.retention": "fail"},
    _strand_rows,
    _take_rows_back,
    says="default",
    scope=_SCOPE,
)
NONE_AHEAD = Fault(
    "partition-none-ahead",
    "there is no partition after today: the job that makes them was switched off",
    _ITEMS,
    lambda lab: _drop_days(lab, 1, 30),
    _make_days,
    says="ahead",
    scope=_SCOPE,
)
NO_TOMORROW = Fault(
    "partition-gap-tomorrow",
    "there are partitions ahead, but none for tomorrow",
    _ITEMS,
    lambda lab: _drop_days(lab, 1, 1),
    _make_days,
    says="gap",
    scope=_SCOPE,
)
