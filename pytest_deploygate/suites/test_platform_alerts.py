"""Alerts of the platform itself."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.platform_alerts import judge, probe


@pytest.mark.item("phase3.alerts")
@pytest.mark.disruptive(otherwise="send readings where the inventory opts in")
def test_alert_is_raised(gate, platform_alerts, inventory, budget, allow_disruptive):
    """A reading over its limit raises one alert within the bound, which clears; no other alert comes."""

    def cause():
        return probe.raised(platform_alerts, inventory.name, budget, allowed=allow_disruptive)

    gate.judge_confirmed(judge.judge, cause(), cause, platform_alerts)


@pytest.mark.item("crit.alerts")
@pytest.mark.disruptive(otherwise="send readings where the inventory opts in")
def test_alert_is_shown(gate, platform_alerts, alert_page, browser, inventory, budget, allow_disruptive):
    """The alert appears in a real browser while it fires, and no longer fires there when it has cleared."""

    def cause():
        return probe.shown(
            platform_alerts, alert_page, browser, inventory.name, budget, allowed=allow_disruptive
        )

    gate.judge_confirmed(judge.judge, cause(), cause, platform_alerts)
