"""Faults of retention: no policy, a failing job, rows and files that are left behind."""

from __future__ import annotations

import os
import time

from pytest_deploygate.lab import jobs, schedule, sql
from pytest_deploygate.lab.faults import Fault, by_sql, silence
from pytest_deploygate.lab.state import Lab

_JOB = "apply-retention"
_SCOPE = "preflight and (database or compliance)"
_OLD_LOG = "db1-2026-01-01.log"


def _fail(lab: Lab) -> None:
    """Let the job fail as it does when a table that a policy names was dropped."""
    sql.execute(
        lab, "INSERT INTO platform.retention_policies VALUES ('platform.gone', 'at', '30 days', 'delete')"
    )
    jobs.run(lab, _JOB)


def _succeed(lab: Lab) -> None:
    sql.execute(lab, "DELETE FROM platform.retention_policies WHERE relation = 'platform.gone'")
    jobs.run(lab, _JOB)


def _age_log(lab: Lab) -> None:
    file = lab.folder / "log" / _OLD_LOG
    file.write_text("a log that nobody rotated away\n")
    then = time.time() - 90 * 86400
    os.utime(file, (then, then))


NO_POLICY = Fault(
    "retention-no-policy",
    "there is no retention policy for the readings any more",
    {"db.retention": "fail"},
    by_sql("DELETE FROM platform.retention_policies WHERE relation = 'platform.readings'"),
    by_sql(
        "INSERT INTO platform.retention_policies VALUES ('platform.readings', 'recorded_at', '60 days',"
        " 'drop partitions') ON CONFLICT DO NOTHING"
    ),
    says="no retention policy",
    scope=_SCOPE,
)
FAILING = Fault(
    "retention-job-failing",
    "the retention job fails: a policy names a table that was dropped",
    {"db.retention": "fail", "comp.retention": "fail"},
    _fail,
    _succeed,
    says="platform.gone",
    scope=_SCOPE,
)
SWITCHED_OFF = Fault(
    "retention-job-off",
    "the retention job is commented out of the crontab",
    {"db.retention": "fail", "comp.retention": "fail"},
    lambda lab: silence(lab, _JOB),
    lambda lab: schedule.switch_on(lab, _JOB),
    says="switched off",
    scope=_SCOPE,
)
ROWS_LEFT = Fault(
    "retention-rows-left",
    "messages to people of half a year ago are still there",
    {"comp.retention": "fail"},
    by_sql(
        "INSERT INTO platform.messages (recipient, sent_at, body) SELECT 'user1@example.com',"
        " now() - interval '200 days', '{}' FROM generate_series(1, 3)"
    ),
    by_sql("DELETE FROM platform.messages WHERE sent_at < now() - interval '150 days'"),
    says="3 rows are older",
    scope=_SCOPE,
)
OLD_LOG = Fault(
    "retention-old-logs",
    "a server's log of 90 days ago is still there",
    {"comp.retention": "fail"},
    _age_log,
    lambda lab: (lab.folder / "log" / _OLD_LOG).unlink(missing_ok=True),
    says=_OLD_LOG,
    scope=_SCOPE,
)
