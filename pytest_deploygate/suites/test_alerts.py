"""Alerts: each route delivers to exactly its receivers, and nothing critical fires after the night."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.alerts import judge, probe


@pytest.mark.item("phase1.alert-routing")
@pytest.mark.disruptive(otherwise="run where the inventory opts in, else judge the test on record")
def test_alert_routes(gate, alerts, alertmanagers, prometheus, budget, inventory, allow_disruptive):
    """An alert of each route arrives once and in time at exactly the receivers declared, and is resolved."""
    found = probe.routed(alerts, alertmanagers, prometheus, inventory.name, budget, allowed=allow_disruptive)
    gate.judge(judge.judge_routing, found, alerts)


@pytest.mark.item("after.alerts")
def test_alerts_of_the_night(gate, alerts, alertmanagers, prometheus):
    """No critical alert fires, and each of their rules is evaluated and has its data; the night's alerts are listed."""
    gate.judge(judge.judge_night, probe.night(alerts, alertmanagers, prometheus), alerts.night)
