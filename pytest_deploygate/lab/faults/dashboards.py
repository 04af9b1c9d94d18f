"""Faults of dashboards: charts without data, and with old ones."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.faults.reports import INVENTORY, NEEDS, switched
from pytest_deploygate.lab.services import platform

BLANK = Fault(
    "dashboard-blank",
    "the chart of the plant has axes and no line, as its points have no value",
    {"crit.dashboards": "fail"},
    switched(dashboard_blank=True),
    platform.as_started,
    says="have 0 points and",
    needs=NEEDS,
    inventory=INVENTORY,
)
STALE = Fault(
    "dashboard-stale",
    "the chart of the plant ends half an hour ago",
    {"crit.dashboards": "fail"},
    switched(dashboard_stale=True),
    platform.as_started,
    says="the newest point of its data",
    needs=NEEDS,
    inventory=INVENTORY,
)
MONITORING = Fault(
    "monitoring-dashboard-blank",
    "the dashboard that is watched during the deployment has no data",
    {"day.dashboards": "fail"},
    switched(operations_blank=True),
    platform.as_started,
    says="shows 'No data'",
    needs=NEEDS,
    inventory=INVENTORY,
)
