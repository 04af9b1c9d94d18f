"""Faults of the platform's own alerts: none, too many, and one that nobody sees."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.faults.reports import INVENTORY, NEEDS, switched
from pytest_deploygate.lab.services import platform

_BOTH = {"phase3.alerts": "fail", "crit.alerts": "fail"}

MISSING = Fault(
    "platform-alert-missing",
    "readings over a limit raise no alert",
    _BOTH,
    switched(alert_never=True),
    platform.as_started,
    says="no alert within 5 s after 3 readings of 130 were taken",
    needs=NEEDS,
    inventory=INVENTORY,
)
NOT_SHOWN = Fault(
    "platform-alert-not-on-page",
    "the page of alerts leaves out those that fire",
    {"crit.alerts": "fail"},
    switched(alert_not_on_page=True),
    platform.as_started,
    says="it has no element for it",
    needs=NEEDS,
    inventory=INVENTORY,
)
TWICE = Fault(
    "platform-alert-twice",
    "each alert is raised twice",
    _BOTH,
    switched(alert_twice=True),
    platform.as_started,
    says="2 alerts (",
    needs=NEEDS,
    inventory=INVENTORY,
)
STORM = Fault(
    "platform-alert-storm",
    "one alert brings one of each other device",
    _BOTH,
    switched(alert_storm=True),
    platform.as_started,
    says="of other devices came with it",
    needs=NEEDS,
    inventory=INVENTORY,
)
