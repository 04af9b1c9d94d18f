"""Requests arrive at the new system, and no more at the old one."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.traffic import judge, probe


@pytest.mark.item("golive.traffic")
def test_traffic_flow(gate, prometheus, traffic):
    """Requests on the new side are over the floor, those on the old side under the ceiling, by their counters."""
    gate.judge(judge.judge, probe.sides(prometheus, traffic), traffic)
