"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.alerts.section import Alerts
from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    alerts: Alerts | None = sections.get("alerts")
    if alerts is not None:
        yield BesideSql(
            ("after.alerts", "phase1.alert-routing"),
            "to read status, silences and alerts of every node of Alertmanager, and rules, alerts and series of Prometheus",
        )
    if alerts is not None and alerts.routes:
        yield BesideSql(("phase1.alert-routing",), "to post alerts to every node of Alertmanager")
