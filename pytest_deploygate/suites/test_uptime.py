"""Uptime in the watched window."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.uptime import judge, probe


@pytest.mark.item("crit.uptime")
def test_uptime(gate, inventory, uptime, watched):
    """Less of the window was lost than the budget allows, even if all unobserved time counts as lost."""
    gate.judge(judge.judge, probe.measure(uptime, watched, inventory.name), uptime)
