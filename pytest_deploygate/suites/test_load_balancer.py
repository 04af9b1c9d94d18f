"""Load balancer: every backend gets its share, has a health check that can fail, and leaves when its health turns bad."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.load_balancer import judge, probe


@pytest.mark.item("infra.load-balancer")
def test_backends_and_their_checks(gate, balanced_pool):
    """On every balancer each backend is in rotation as declared, with a health check that can fail."""

    def read():
        return probe.backends(balanced_pool)

    gate.judge_confirmed(
        judge.judge_backends, read(), read, balanced_pool, target=f"{balanced_pool.name} backends"
    )


@pytest.mark.item("infra.load-balancer")
def test_shares(gate, balanced_pool, budget):
    """Over fresh connections each backend gets its share."""

    def read():
        return probe.shares(balanced_pool, budget)

    gate.judge_confirmed(
        judge.judge_shares, read(), read, balanced_pool, target=f"{balanced_pool.name} shares"
    )


@pytest.mark.item("infra.load-balancer")
def test_balancer_is_redundant(gate, balanced_pool):
    """Every address of the balancer itself serves the pool."""

    def read():
        return probe.entries(balanced_pool)

    gate.judge_confirmed(
        judge.judge_entries, read(), read, balanced_pool, target=f"{balanced_pool.name} addresses"
    )


@pytest.mark.item("infra.load-balancer")
@pytest.mark.disruptive(otherwise="run where the inventory opts in, else judge the drill on record")
def test_bad_backend_leaves(gate, balanced_pool, inventory, budget, allow_disruptive):
    """A drill, run now if allowed, else on record, saw a backend whose health turned bad leave without a client error."""
    drill = balanced_pool.drill
    now = drill is not None and (allow_disruptive or drill.opt_in == inventory.name)
    ran = probe.drill(balanced_pool, inventory.name, budget) if now else None
    found = probe.drilled(balanced_pool, ran, inventory.name)
    gate.judge(judge.judge_drill, found, balanced_pool, target=f"{balanced_pool.name} drill")
