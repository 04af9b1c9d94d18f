"""What enters the platform comes out of it: every event once, in order, and in time."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.pipeline import judge, probe


@pytest.mark.item("phase3.pipeline")
@pytest.mark.disruptive(otherwise="run where the inventory opts in")
def test_pipeline(gate, pipeline, inventory, pipeline_database, budget, allow_disruptive):
    """All events of synthetic devices come out once, in order of each device and in time; users do not see these devices."""
    found = probe.measured(pipeline, inventory.name, pipeline_database, budget, allowed=allow_disruptive)
    gate.judge(judge.judge, found, pipeline)
