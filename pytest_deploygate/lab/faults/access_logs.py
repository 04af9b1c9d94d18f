"""Faults of the access logs of the front."""

from __future__ import annotations

import signal
import time

from pytest_deploygate.lab import access_log, client, disturbance
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import Lab

_ITEMS = {"sec.access-logs": "fail"}
_NEEDS = (front.FRONT,)
#: A replica checks ten times a second whether something disturbs it.
_NOTICED_S = 0.25
_OLD = '127.0.0.1 - - [01/Sep/2026:06:25:01 +0000] "GET /version HTTP/1.1" 200 44 0.002 "monitor"\n'


def _configured(log_format: str = access_log.FORMAT, *, logs: bool = True) -> Change:
    def change(lab: Lab) -> None:
        client.stop(lab, front.FRONT, signal.SIGTERM)
        front.configure(lab, log_format=log_format, logs=logs)
        client.start(lab, front.FRONT)
        front.wait_whole(lab)

    return change


def _application(what: str) -> Change:
    def change(lab: Lab) -> None:
        disturbance.write(lab, {"*": {"access_log": what}})
        time.sleep(_NOTICED_S)

    return change


def _undisturb(lab: Lab) -> None:
    disturbance.end(lab)
    time.sleep(_NOTICED_S)


def _grown(lab: Lab) -> None:
    """Write the line of a day long ago before all others, as if the file had never been rotated."""
    file = access_log.front(lab)
    text = file.read_text()
    with file.open("r+") as opened:
        opened.write(_OLD + text)


def _rotated(lab: Lab) -> None:
    if access_log.front(lab).read_text().startswith(_OLD):
        access_log.rotate(lab)


OFF = Fault(
    "access-log-off",
    "nginx logs no requests",
    _ITEMS,
    _configured(logs=False),
    _configured(),
    says="not in it after",
    needs=_NEEDS,
)
TOKEN = Fault(
    "access-log-token",
    "nginx logs the whole line of the request, with a token in its query",
    _ITEMS,
    _configured(access_log.WITH_QUERY),
    _configured(),
    says="in the query",
    needs=_NEEDS,
)
READABLE = Fault(
    "access-log-readable",
    "everybody may read nginx's access log",
    _ITEMS,
    lambda lab: access_log.front(lab).chmod(0o644),
    lambda lab: access_log.front(lab).chmod(access_log.MODE),
    says="everybody on the host can read it",
    needs=_NEEDS,
)
GROWN = Fault(
    "access-log-not-rotated",
    "nginx's access log was never rotated",
    _ITEMS,
    _grown,
    _rotated,
    says="is not rotated",
    needs=_NEEDS,
)
NO_STATUS = Fault(
    "access-log-no-status",
    "the application logs requests without their status",
    _ITEMS,
    _application("no-status"),
    _undisturb,
    says="has no status",
    needs=_NEEDS,
)
NO_ZONE = Fault(
    "access-log-no-zone",
    "the times in the application's access log have no time zone",
    _ITEMS,
    _application("no-zone"),
    _undisturb,
    says="has no zone",
    needs=_NEEDS,
)
WRONG_ZONE = Fault(
    "access-log-wrong-zone",
    "the application logs the time of the next zone as UTC",
    _ITEMS,
    _application("hour-ahead"),
    _undisturb,
    says="1 h ahead of the request: its time zone is wrong",
    needs=_NEEDS,
)
BODY = Fault(
    "access-log-body",
    "the application logs the bodies of requests",
    _ITEMS,
    _application("body"),
    _undisturb,
    says="in the body",
    needs=_NEEDS,
)
