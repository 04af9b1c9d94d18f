"""Of the requests only as many fail as the error budget allows."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.errors import judge, probe


@pytest.mark.item("golive.errors")
def test_error_rates(gate, prometheus, errors, inventory, budget):
    """The upper bound of the error ratio is under the budget for the application and the balancer, and no burn rate is over its limit."""
    found = probe.counts(prometheus, errors)
    missing = judge.lacking(found, errors)
    if errors.top_up and missing.requests:
        found = probe.topped_up(found, errors.top_up, missing, inventory.name, budget)
    gate.judge(judge.judge, found, errors)
