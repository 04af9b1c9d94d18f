"""Replication: one primary, replicas that stream within their bounds, writes that arrive, a failover drill."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.replication import judge, probe


@pytest.mark.item("db.replication", "phase2.replication")
def test_one_primary(gate, postgres, replication):
    """Exactly one node takes writes, no unused slot holds WAL, commits wait as the inventory states."""
    gate.judge(
        judge.judge_cluster,
        probe.primary(postgres, replication.patience_s),
        replication,
        target="cluster",
    )


@pytest.mark.item("db.replication", "phase2.replication")
def test_replica_streams(gate, postgres, replication, replica):
    """The replica streams from its upstream within the lag bounds, and a marker row is read on it."""
    gate.judge(judge.judge_replica, probe.replica(postgres, replica, replication.patience_s), replication)


@pytest.mark.item("phase2.replication")
def test_acknowledged_writes_arrive(gate, postgres, replication, replica, budget):
    """Under write load the replica keeps up, and has every acknowledged row afterwards."""
    patience_s = replication.max_lag_time.total_seconds()
    gate.judge(
        judge.judge_write_load,
        probe.under_write_load(postgres, replica, replication.load, patience_s, budget),
        replication,
        target=f"{replica.name} under load",
    )


@pytest.mark.item("phase2.replication")
@pytest.mark.disruptive(otherwise="judge the drill on record")
def test_failover_drill(gate, postgres, replication, inventory, allow_disruptive, budget, capsys):
    """A drill, run now if allowed, else on record, lost no acknowledged write and was fast enough."""
    failover, managed = replication.failover, replication.managed_failover
    if managed:
        ran = {}
        if allow_disruptive:
            with capsys.disabled():
                ran = probe.managed_drills(postgres, managed, replication.load, inventory.name, budget, print)
        gate.judge(
            judge.judge_managed,
            probe.managed_evidence(postgres, managed, ran, inventory.name),
            managed,
            target="failover through the manager",
        )
    if managed and failover is None:
        return
    drilled = None
    if allow_disruptive:
        drilled = probe.failover_drill(postgres, failover, replication.load, inventory.name, budget)
    gate.judge(
        judge.judge_failover,
        probe.failover_evidence(postgres, failover, drilled, inventory.name),
        failover,
        target="failover drill",
    )
