"""Response times under the declared peak, or from the server's own histograms."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.load import judge, probe

ITEMS = {0.5: "crit.p50", 0.99: "crit.p99"}


@pytest.mark.item("crit.p50", "crit.p99")
@pytest.mark.alone
def test_response_times(gate, load, inventory, budget):
    """Open-loop load at the declared peak: p50 and p99 of each endpoint, and of all together, are under their limits."""
    if load.sends:
        run = probe.send(load, inventory.name, look=judge.look(load), budget=budget)
        for criterion in judge.latency_criteria(run, load):
            found, item = run.only(criterion.endpoint), ITEMS[criterion.quantile]
            gate.judge(judge.judge_latency, found, criterion, target=criterion.endpoint, item=item)
        for criterion in judge.regression_criteria(load):
            pair = judge.Pair(run.only(judge.WHOLE), probe.baseline(load.baseline, judge.WHOLE))
            item = ITEMS[criterion.quantile]
            gate.judge(judge.judge_regression, pair, criterion, target="baseline", item=item)
    if load.server is not None:
        histogram = probe.server_histogram(load.server)
        for criterion in judge.histogram_criteria(load):
            item = ITEMS[criterion.quantile]
            gate.judge(judge.judge_histogram, histogram, criterion, target="server's histogram", item=item)
