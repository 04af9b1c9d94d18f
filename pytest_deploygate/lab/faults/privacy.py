"""Faults of the audit trail and of erasure."""

from __future__ import annotations

import time

from pytest_deploygate.lab import disturbance
from pytest_deploygate.lab.faults import Change, Fault, by_sql
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.services import redis as cache
from pytest_deploygate.lab.state import Lab

_SCOPE = "preflight and compliance"
_NOBODY = "LIKE 'deploygate-%@example.com'"

#: A replica of the application looks every tenth of a second whether something disturbs it.
_NOTICED_S = 0.25


def _application(**fields: bool) -> Change:
    def change(lab: Lab) -> None:
        disturbance.write(lab, {"*": fields})
        time.sleep(_NOTICED_S)

    return change


def _mend_application(lab: Lab) -> None:
    disturbance.end(lab)
    time.sleep(_NOTICED_S)


NO_RECORD = Fault(
    "audit-trigger-off",
    "the audit trigger of platform.users is switched off: what is done to people leaves no record",
    {"comp.audit-trail": "fail", "phase2.tables": "fail", "guard.after-load": "fail"},
    by_sql("ALTER TABLE platform.users DISABLE TRIGGER users_audit"),
    by_sql("ALTER TABLE platform.users ENABLE TRIGGER users_audit"),
    says="left no record",
    scope="preflight and compliance or phase2 or phase4 and guard",
)
CHANGEABLE = Fault(
    "audit-changeable",
    "the application's role was made a member of pg_write_all_data: it can change every audit record",
    {"comp.audit-trail": "fail"},
    by_sql("GRANT pg_write_all_data TO platform_app"),
    by_sql("REVOKE pg_write_all_data FROM platform_app"),
    says="by membership in pg_write_all_data",
    scope=_SCOPE,
)
FORGOTTEN = Fault(
    "erasure-forgotten-table",
    "the erasure forgets the messages to a person",
    {"comp.erasure": "fail"},
    by_sql("DELETE FROM platform.personal_data WHERE relation = 'platform.messages'"),
    by_sql(
        "INSERT INTO platform.personal_data VALUES ('platform.messages', 'recipient', 'delete') ON CONFLICT DO NOTHING",
        f"DELETE FROM platform.messages WHERE recipient {_NOBODY}",
    ),
    says="platform.messages.recipient",
    scope=_SCOPE,
)
SOFT = Fault(
    "erasure-soft-delete",
    "the erasure only marks people as deleted",
    {"comp.erasure": "fail"},
    by_sql("UPDATE platform.personal_data SET how = 'mark' WHERE relation = 'platform.users'"),
    by_sql(
        "UPDATE platform.personal_data SET how = 'delete' WHERE relation = 'platform.users'",
        f"DELETE FROM platform.users WHERE email {_NOBODY}",
    ),
    says="marked as deleted",
    scope=_SCOPE,
)
CACHE = Fault(
    "erasure-forgotten-cache",
    "the erasure leaves the person's profile in Redis",
    {"comp.erasure": "fail"},
    _application(forgets_cache=True),
    _mend_application,
    says="redis profiles (1 key, first key profile:",
    needs=(front.FRONT, cache.NAME),
    scope=_SCOPE,
)
LOGGED = Fault(
    "erasure-log-line",
    "the application writes people's addresses to its log",
    {"comp.erasure": "fail"},
    _application(logs_people=True),
    _mend_application,
    says="log servers (2 lines, first",
    needs=(front.FRONT,),
    scope=_SCOPE,
)
