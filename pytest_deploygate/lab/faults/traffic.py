"""Faults of traffic: requests that still go to the old side, and none that come to the new one."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import portal
from pytest_deploygate.lab.state import Lab

INVENTORY = "lab-monitoring"
NEEDS = (portal.NEW, portal.BALANCER)


def _visit_the_old_side(lab: Lab) -> None:
    portal.disturb(lab)
    portal.some_keep_the_old_address(lab)
    portal.send(lab, portal.OLD, "/", 60)
    portal.await_value(lab, 'http_requests_total{job="portal-old"}', 60)


def _go_away(lab: Lab) -> None:
    portal.disturb(lab)
    portal.nobody_visits(lab)
    # The newest part of the window is 8 s long.
    portal.await_value(lab, 'increase(http_requests_total{job="portal",code="200",by=""}[9s]) == bool 0', 1)


OLD_SIDE = Fault(
    "traffic-on-the-old-side",
    "clients that keep the old address send sixty requests to the old portal, and five each second",
    {"golive.traffic": "fail"},
    _visit_the_old_side,
    portal.as_before,
    says="look for clients that keep the old address",
    needs=NEEDS,
    inventory=INVENTORY,
)
NEW_SIDE = Fault(
    "traffic-stays-away",
    "since some seconds no visitor comes to the new portal any more",
    {"golive.traffic": "fail"},
    _go_away,
    portal.as_before,
    says="at least 1/s must arrive",
    needs=NEEDS,
    inventory=INVENTORY,
)
