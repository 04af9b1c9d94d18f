"""Faults of live values: what a page shows stands still."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.faults.reports import INVENTORY, NEEDS, switched
from pytest_deploygate.lab.services import platform

FROZEN = Fault(
    "live-value-frozen",
    "pages are not told any more what changes, while their connections stay open",
    {"crit.realtime": "fail", "crit.alerts": "fail"},
    switched(live_frozen=True),
    platform.as_started,
    says="and did not change within",
    needs=NEEDS,
    inventory=INVENTORY,
)
