"""Faults of the HTTP front: slow, stalling, failing, gone. The replicas take theirs from a file, see `disturbance`."""

from __future__ import annotations

import signal
import time

from pytest_deploygate.lab import client, disturbance
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import Lab

_NEEDS = (front.FRONT,)
#: A replica looks every tenth of a second whether something disturbs it.
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
    "every 50th request of each endpoint takes 600 ms longer: the median tells nothing of it",
    {"crit.p99": "fail"},
    _disturb(slow_every=50, slow_s=0.6),
    _undisturb,
    says="p99",
    needs=_NEEDS,
)
# A stall of S fails p99 in runs shorter than about 100 (S - limit) only. With one in any twenty seconds, 7 % of all
# requests are over 500 ms, however long the run is and whenever it starts; and with what waits behind it no more than
# 15 % are over 200 ms, so that the median is still known to be good although so few seconds decide it.
STALL = Fault(
    "http-stall",
    "the application stands still for 2 s in every 20 s (as in a garbage collection); who sends the next request"
    " only after the answer hardly sees it",
    {"crit.p99": "fail"},
    _disturb(stall_every_s=20.0, stall_s=2.0),
    _undisturb,
    says="p99",
    needs=_NEEDS,
)
ERRORS = Fault(
    "http-errors",
    "every 50th request of each endpoint is answered with 500, and quickly",
    {"crit.p99": "fail"},
    _disturb(error_every=50),
    _undisturb,
    says="p99",
    needs=_NEEDS,
)
# A quarter of one replica's requests: even where requests alternate in step with the balancer, so that one endpoint
# always meets app1, its median stays what it was.
SLOW_REPLICA = Fault(
    "http-slow-replica",
    "app1 takes 700 ms longer for every fourth request; its health check stays green",
    {"crit.p99": "fail"},
    _disturb("app1", slow_every=4, slow_s=0.7),
    _undisturb,
    says="p99",
    needs=_NEEDS,
)
# The watch of the first seconds is over by then: what is down now counts for the load alone.
OUTAGE = Fault(
    "http-outage",
    "the front is down: nginx has ended",
    {"crit.p50": "fail", "crit.p99": "fail"},
    lambda lab: client.stop(lab, front.FRONT, signal.SIGTERM),
    _start_front,
    says="p99",
    needs=_NEEDS,
)
