"""Response times with the traffic as it is, at go-live and on the morning after."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.performance import judge, probe


@pytest.mark.item("golive.performance")
@pytest.mark.alone
def test_performance_metrics(gate, prometheus, performance, inventory, budget):
    """p50 and p99 are under their limits by the servers' histogram and by our own client, each for itself."""
    found = probe.histogram(prometheus, performance.server)
    gate.judge(judge.judge_server, found, performance, target="servers' histogram")
    run = probe.visited(performance, inventory.name, budget)
    gate.judge(judge.judge_client, run, performance, target="our own client")
    if performance.client_baseline is not None:
        before = judge.Pair(run, probe.client_before(performance))
        gate.judge(judge.judge_client_regression, before, performance, target="our own client, run before")


@pytest.mark.item("after.performance")
def test_performance_data(gate, prometheus, performance):
    """Over the night p50 and p99 were under their limits by the servers' histogram, and not slower than in the run before."""
    found = probe.histogram(prometheus, performance.over_night)
    gate.judge(judge.judge_server, found, performance, target="servers' histogram")
    pair = judge.Compared(found, probe.server_before(performance.baseline, found))
    gate.judge(judge.judge_server_regression, pair, performance, target="run before")
