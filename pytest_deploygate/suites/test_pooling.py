"""Connection poolers: pools that fit the server, poolers that work, more clients than the server accepts."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.pooling import judge, probe


@pytest.mark.item("db.pooling")
def test_pools_fit_the_server(gate, postgres, pooling):
    """The pools of all poolers fit within max_connections, less the reserve."""
    gate.judge(judge.judge_capacity, probe.capacity(postgres, pooling), pooling, target="arithmetic")


@pytest.mark.item("db.pooling")
def test_pooler_works(gate, postgres, pooler):
    """The pooler answers, pools in the expected mode, and no client waits."""
    gate.judge(judge.judge_pooler, probe.pooler(postgres, pooler), pooler)


@pytest.mark.item("db.pooling")
@pytest.mark.disruptive(otherwise="run where the inventory opts in, else judge the pressure test on record")
def test_more_clients_than_the_server_takes(
    gate, postgres, pooling, pooler, inventory, allow_disruptive, budget
):
    """More clients than the server accepts all get answers, over no more server connections than the pool has."""
    found = probe.under_pressure(
        postgres, pooling, pooler, inventory.name, allowed=allow_disruptive, budget=budget
    )
    gate.judge(judge.judge_pressure, found, pooling.pressure, target=f"{pooler.name} under pressure")
