"""Faults of the HTTP front: slow, stalling, failing, down. The replicas read theirs from a file, see `disturbance`."""

from __future__ import annotations

import signal
import time

from pytest_deploygate.lab import client, disturbance
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import Lab

_NEEDS = (front.FRONT,)
#: A replica checks ten times a second whether something disturbs it.
_NOTICED_S = 0.25


def _disturb(replica: str = "*", **fields: float) -> Change:
    def change(lab: Lab) -> None:
        disturbance.write(lab, {replica: fields})
        time.sleep(_NOTICED_S)

    return change


def _undisturb(lab: Lab) -> None:
    disturbance.end(lab)
    time.sleep(_NOTICED_S)
    front.wait_whole(lab)


def _greet_slowly(lab: Lab) -> None:
    client.stop(lab, front.FRONT, signal.SIGTERM)
    front.configure(lab, keepalive=10)
    _start_front(lab)
    _disturb(greets_s=0.7)(lab)


def _greet(lab: Lab) -> None:
    disturbance.end(lab)
    client.stop(lab, front.FRONT, signal.SIGTERM)
    front.configure(lab)
    _start_front(lab)


def _start_front(lab: Lab) -> None:
    client.start(lab, front.FRONT)
    front.wait_whole(lab)


DELAY = Fault(
    "http-delay",
    "every request to the API takes 250 ms longer",
    {"crit.p50": "fail"},
    _disturb(delay_s=0.25),
    _undisturb,
    says="p50",
    needs=_NEEDS,
)
SLOW_SHARE = Fault(
    "http-slow-2-percent",
    "every 50th request of each endpoint takes 600 ms longer: the median does not show it",
    {"crit.p99": "fail"},
    _disturb(slow_every=50, slow_s=0.6),
    _undisturb,
    says="p99",
    needs=_NEEDS,
)
# A stall of S fails p99 only in runs shorter than about 100 (S - limit). With one in any twenty seconds, 7 % of all
# requests take over 500 ms, however long the run is and whenever it starts. With those queued behind it no more than
# 15 % take over 200 ms, so the median is still known to be good although so few seconds decide it.
STALL = Fault(
    "http-stall",
    "the application stalls for 2 s in every 20 s (as in a garbage collection); a client that sends the next"
    " request only after the answer hardly sees it",
    {"crit.p99": "fail"},
    _disturb(stall_every_s=20.0, stall_s=2.0),
    _undisturb,
    says="p99",
    needs=_NEEDS,
)
ERRORS = Fault(
    "http-errors",
    "every 50th request of each endpoint is answered quickly, with 500",
    {"crit.p99": "fail"},
    _disturb(error_every=50),
    _undisturb,
    says="p99",
    needs=_NEEDS,
)
# A quarter of one replica's requests: even where requests alternate in step with the balancer, so that one endpoint
# always reaches app1, its median does not change.
SLOW_REPLICA = Fault(
    "http-slow-replica",
    "app1 takes 700 ms longer for every fourth request; its health check stays green",
    {"crit.p99": "fail"},
    _disturb("app1", slow_every=4, slow_s=0.7),
    _undisturb,
    says="p99",
    needs=_NEEDS,
)
SLOW_GREETING = Fault(
    "http-slow-new-connections",
    "the front closes each connection after ten requests, and the first request of each takes 700 ms longer",
    {"crit.p99": "fail"},
    _greet_slowly,
    _greet,
    says="slow on new connections only",
    needs=_NEEDS,
)
# The watch of the first seconds is over by then: an outage now affects the load only.
OUTAGE = Fault(
    "http-outage",
    "the front is down: nginx has exited",
    {"crit.p50": "fail", "crit.p99": "fail"},
    lambda lab: client.stop(lab, front.FRONT, signal.SIGTERM),
    _start_front,
    says="p99",
    needs=_NEEDS,
)
