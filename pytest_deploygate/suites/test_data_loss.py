"""Zero data loss: acknowledged writes are everywhere afterwards, and the claim rests on settings and on a fault."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.data_loss import judge, probe


@pytest.mark.item("crit.data-loss")
def test_acknowledged_writes_are_on_every_node(gate, data_loss, acknowledged_writes, budget):
    """Every write that was acknowledged is on the primary and each replica; no reader saw less."""
    gate.judge(judge.judge_nodes, probe.written(acknowledged_writes, budget), data_loss, target="nodes")


@pytest.mark.item("crit.data-loss")
def test_acknowledged_writes_are_in_a_restored_backup(gate, data_loss, acknowledged_writes, budget):
    """Every write that was acknowledged is in the newest backup, restored and recovered."""
    gate.judge(
        judge.judge_restored,
        probe.written(acknowledged_writes, budget),
        data_loss,
        target="restored backup",
    )


@pytest.mark.item("crit.data-loss")
def test_zero_loss_was_shown_by_a_fault(gate, replication, acknowledged_writes, inventory, budget):
    """Commits wait for a replica, and a failover drill on this configuration lost nothing."""
    gate.judge(
        judge.judge_claim,
        probe.claim(
            acknowledged_writes, replication.failover, inventory.name, budget, replication.managed_failover
        ),
        judge.Claimed(replication.synchronous, replication.failover, replication.managed_failover),
        target="claim",
    )
