"""Success criteria: response times under the declared peak, or from the server's own histograms."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.load.judge import load as judge_load
from pytest_deploygate.checks.load.judge import regression as judge_regression
from pytest_deploygate.checks.load.judge import server_histograms as judge_histograms
from pytest_deploygate.checks.load.probe import baselines, measure, server_histograms
from pytest_deploygate.checks.load.tally import WHOLE

ITEMS = {0.5: "crit.p50", 0.99: "crit.p99"}


@pytest.mark.item("crit.p50", "crit.p99")
@pytest.mark.alone
def test_response_times(gate, load, inventory):
    """Open-loop load at the declared peak: p50 and p99 of each endpoint, and of all together, are under their limits."""
    if load.sends:
        run = measure.measure(load, inventory.name, look=judge_load.look(load))
        for criterion in judge_load.criteria(run, load):
            found, item = run.only(criterion.endpoint), ITEMS[criterion.quantile]
            gate.judge(judge_load.judge, found, criterion, target=criterion.endpoint, item=item)
        for criterion in judge_regression.criteria(load):
            pair = judge_regression.Pair(run.only(WHOLE), baselines.read(load.baseline, WHOLE))
            gate.judge(
                judge_regression.judge, pair, criterion, target="baseline", item=ITEMS[criterion.quantile]
            )
    if load.server is not None:
        histogram = server_histograms.read(load.server)
        for criterion in judge_histograms.criteria(load):
            item = ITEMS[criterion.quantile]
            gate.judge(judge_histograms.judge, histogram, criterion, target="server's histogram", item=item)
