"""Faults of the night: nothing was scraped for a while, and a spike that nobody saw."""

from __future__ import annotations

import time

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.faults.traffic import INVENTORY, NEEDS
from pytest_deploygate.lab.services import portal
from pytest_deploygate.lab.state import Lab

#: Some hours ago, for half an hour.
_AGO_S, _LASTED_S = 5 * 3600.0, 1800.0


def _leave_a_gap(lab: Lab) -> None:
    portal.rewrite_orders(lab, time.time() - _AGO_S, _LASTED_S, None)


def _spike(lab: Lab) -> None:
    portal.rewrite_orders(lab, time.time() - _AGO_S, _LASTED_S, 400.0)


GAP = Fault(
    "night-scrape-gap",
    "half an hour of the night's orders is missing in Prometheus",
    {"after.overnight": "inconclusive"},
    _leave_a_gap,
    portal.restore_orders,
    says="what happened then is unknown",
    needs=NEEDS,
    inventory=INVENTORY,
)
SPIKE = Fault(
    "night-spike",
    "for half an hour of the night there were four hundred orders per minute",
    {"after.overnight": "fail"},
    _spike,
    portal.restore_orders,
    says="outside of the band 20 to 90 /min",
    needs=NEEDS,
    inventory=INVENTORY,
)
