"""Faults of response times: slow requests now, and a night that was slower than the one before."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.faults.traffic import INVENTORY, NEEDS
from pytest_deploygate.lab.services import portal
from pytest_deploygate.lab.state import Lab

#: p99 is still far under its limit; of 1,000 requests one over 500 ms is the usual.
_SLOWER = {**portal.USUAL, "0.1": 40, "0.2": 30, "0.5": 8}


def _be_slow(lab: Lab) -> None:
    """Let a hundred requests take 2.8 s, at the same time."""
    portal.disturb(lab)
    portal.send(lab, portal.BALANCER, "/slow?ms=2800", 100, at_once=100)
    portal.await_value(
        lab,
        'http_request_duration_seconds_bucket{job="portal",le="+Inf"} - ignoring (le)'
        ' http_request_duration_seconds_bucket{job="portal",le="2.5"}',
        100,
    )


def _slower_night(lab: Lab) -> None:
    portal.disturb(lab, portal.REMEMBERED_S)
    portal.as_before(lab, slower=_SLOWER)


SLOW = Fault(
    "slow-histogram",
    "a hundred requests of the last minutes took 2.8 s by the portal's own histogram; our own requests are fast",
    {"golive.performance": "fail"},
    _be_slow,
    portal.as_before,
    says="by the server's histogram",
    needs=NEEDS,
    inventory=INVENTORY,
)
NIGHT = Fault(
    "night-slower-than-before",
    "over the night more requests took long than in the run before, yet fewer than the limit allows",
    {"after.performance": "fail"},
    _slower_night,
    portal.as_before,
    says="slower by more than 25%",
    needs=NEEDS,
    inventory=INVENTORY,
)
