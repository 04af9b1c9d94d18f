"""Log delivery: messages of every host arrive at the aggregator."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.log_delivery import judge, probe


@pytest.mark.item("phase1.logs")
def test_log_delivery(gate, log_delivery, inventory_hosts, budget):
    """Messages of every host arrive at the aggregator in time, once and whole, with host, time and level; a burst has no losses."""
    gate.judge(judge.judge, probe.deliver(log_delivery, inventory_hosts, budget), log_delivery)
