"""Dashboards of the platform, and those of its monitoring."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.dashboards import judge, probe


@pytest.mark.item("crit.dashboards")
def test_dashboard(gate, dashboard, browser, postgres_if_named):
    """The dashboard shows its data, fresh and as the database has them, within the bound."""
    gate.judge(judge.judge, probe.opened(dashboard, browser, postgres_if_named), dashboard)


@pytest.mark.item("day.dashboards")
def test_monitoring_dashboard(gate, monitoring_dashboard, browser, postgres_if_named):
    """The dashboard opens and shows fresh data."""
    gate.judge(
        judge.judge_open, probe.opened(monitoring_dashboard, browser, postgres_if_named), monitoring_dashboard
    )
