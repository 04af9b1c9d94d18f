"""Faults of the audit trail, of erasure and of retention."""

from __future__ import annotations

import os
import time

from pytest_deploygate.lab import disturbance, jobs, schedule, sql
from pytest_deploygate.lab.faults import Change, Fault, by_sql, silence
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.services import redis as cache
from pytest_deploygate.lab.state import Lab

_COMPLIANCE = "preflight and compliance"
_NOBODY = "LIKE 'deploygate-%@example.com'"

#: A replica of the application checks ten times a second whether something disturbs it.
_NOTICED_S = 0.25


def _application(**fields: bool) -> Change:
    def change(lab: Lab) -> None:
        disturbance.write(lab, {"*": fields})
        time.sleep(_NOTICED_S)

    return change


def _restore_application(lab: Lab) -> None:
    disturbance.end(lab)
    time.sleep(_NOTICED_S)


NO_RECORD = Fault(
    "audit-trigger-off",
    "the audit trigger of platform.users is disabled: changes to people leave no record",
    {"comp.audit-trail": "fail", "phase2.tables": "fail", "guard.after-load": "fail"},
    by_sql("ALTER TABLE platform.users DISABLE TRIGGER users_audit"),
    by_sql("ALTER TABLE platform.users ENABLE TRIGGER users_audit"),
    says="left no record",
    tests=(
        "test_operation_is_recorded",
        "test_table_structure",
    ),
    scope="preflight and compliance or phase2 or phase4 and guard",
)
CHANGEABLE = Fault(
    "audit-changeable",
    "the application's role was made a member of pg_write_all_data: it can change every audit record",
    {"comp.audit-trail": "fail"},
    by_sql("GRANT pg_write_all_data TO platform_app"),
    by_sql("REVOKE pg_write_all_data FROM platform_app"),
    says="by membership in pg_write_all_data",
    tests=("test_records_cannot_be_changed",),
    scope=_COMPLIANCE,
)
FORGOTTEN_TABLE = Fault(
    "erasure-forgotten-table",
    "erasure forgets the messages to a person",
    {"comp.erasure": "fail"},
    by_sql("DELETE FROM platform.personal_data WHERE relation = 'platform.messages'"),
    by_sql(
        "INSERT INTO platform.personal_data VALUES ('platform.messages', 'recipient', 'delete') ON CONFLICT DO NOTHING",
        f"DELETE FROM platform.messages WHERE recipient {_NOBODY}",
    ),
    says="platform.messages.recipient",
    scope=_COMPLIANCE,
)
SOFT = Fault(
    "erasure-soft-delete",
    "erasure only marks people as deleted",
    {"comp.erasure": "fail"},
    by_sql("UPDATE platform.personal_data SET how = 'mark' WHERE relation = 'platform.users'"),
    by_sql(
        "UPDATE platform.personal_data SET how = 'delete' WHERE relation = 'platform.users'",
        f"DELETE FROM platform.users WHERE email {_NOBODY}",
    ),
    says="marked as deleted",
    scope=_COMPLIANCE,
)
CACHE = Fault(
    "erasure-forgotten-cache",
    "erasure leaves the person's profile in Redis",
    {"comp.erasure": "fail"},
    _application(forgets_cache=True),
    _restore_application,
    says="redis profiles (1 key, first key profile:",
    needs=(front.FRONT, cache.NAME),
    scope=_COMPLIANCE,
)
LOGGED = Fault(
    "erasure-log-line",
    "the application writes people's addresses to its log",
    {"comp.erasure": "fail"},
    _application(logs_people=True),
    _restore_application,
    says="log servers (2 lines, first",
    needs=(front.FRONT,),
    scope=_COMPLIANCE,
)

_JOB = "apply-retention"
_RETENTION = "preflight and (database or compliance)"
_OLD_LOG = "db1-2026-01-01.log"


def _fail(lab: Lab) -> None:
    """Make the job fail as it does after a table with a policy was dropped."""
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
    "the readings no longer have a retention policy",
    {"db.retention": "fail"},
    by_sql("DELETE FROM platform.retention_policies WHERE relation = 'platform.readings'"),
    by_sql(
        "INSERT INTO platform.retention_policies VALUES ('platform.readings', 'recorded_at', '60 days',"
        " 'drop partitions') ON CONFLICT DO NOTHING"
    ),
    says="no retention policy",
    tests=("test_old_rows_go",),
    scope=_RETENTION,
)
FAILING = Fault(
    "retention-job-failing",
    "the retention job fails: a policy names a table that was dropped",
    {"db.retention": "fail", "comp.retention": "fail"},
    _fail,
    _succeed,
    says="platform.gone",
    tests=(
        "test_personal_rows_go",
        "test_old_rows_go",
    ),
    scope=_RETENTION,
)
SWITCHED_OFF = Fault(
    "retention-job-off",
    "the retention job is commented out in the crontab",
    {"db.retention": "fail", "comp.retention": "fail"},
    lambda lab: silence(lab, _JOB),
    lambda lab: schedule.switch_on(lab, _JOB),
    says="switched off",
    tests=(
        "test_personal_rows_go",
        "test_old_rows_go",
    ),
    scope=_RETENTION,
)
ROWS_LEFT = Fault(
    "retention-rows-left",
    "messages to people from half a year ago are still there",
    {"comp.retention": "fail"},
    by_sql(
        "INSERT INTO platform.messages (recipient, sent_at, body) SELECT 'user1@example.com',"
        " now() - interval '200 days', '{}' FROM generate_series(1, 3)"
    ),
    by_sql("DELETE FROM platform.messages WHERE sent_at < now() - interval '150 days'"),
    says="3 rows are older",
    tests=("test_personal_rows_go",),
    scope=_RETENTION,
)
OLD_LOG = Fault(
    "retention-old-logs",
    "a server's log from 90 days ago is still there",
    {"comp.retention": "fail"},
    _age_log,
    lambda lab: (lab.folder / "log" / _OLD_LOG).unlink(missing_ok=True),
    says=_OLD_LOG,
    tests=("test_old_files_go",),
    scope=_RETENTION,
)
