"""Success criteria: uptime in the first 24 hours."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.uptime import judge as availability
from pytest_deploygate.checks.uptime.probe import uptime as probe_uptime


@pytest.mark.item("crit.uptime")
def test_uptime(gate, inventory, watched):
    """Less of the window was lost than the budget allows, also with all that nobody saw counted as lost."""
    measured = probe_uptime.measure(inventory.uptime, watched, inventory.name)
    gate.judge(availability.judge, measured, inventory.uptime)
