"""Faults of reports: a total without a row, and a file that ends early."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import platform

INVENTORY = "lab-application"
NEEDS = (platform.BALANCER,)


def switched(**switches: object) -> Change:
    """Return a change that sets switches of the platform."""
    return lambda lab: platform.change(lab, **switches)


TOTAL = Fault(
    "report-total-off",
    "the total of the daily report has one reading too many",
    {"crit.reports": "fail"},
    switched(report_off_by_one=True),
    platform.as_started,
    says="Readings of Total is",
    needs=NEEDS,
    inventory=INVENTORY,
)
CUT = Fault(
    "report-csv-cut",
    "the CSV file of the daily report ends in the middle",
    {"crit.reports": "fail"},
    switched(report_csv_cut=True),
    platform.as_started,
    says="daily report, CSV: lacks",
    needs=NEEDS,
    inventory=INVENTORY,
)
