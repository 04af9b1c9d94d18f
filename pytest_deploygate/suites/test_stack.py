"""The stack: its components have their versions and images, nothing has drifted, and all of it is up and steady."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.stack import judge, probe


@pytest.mark.item("phase1.stack")
def test_stack(gate, stack, inventory_hosts):
    """Every component has its version wherever one is told, runs its image, and no plan of the infrastructure has changes."""
    gate.judge(judge.judge_deployed, probe.deployed(stack, inventory_hosts), stack)


@pytest.mark.item("phase1.services")
def test_services(gate, stack, inventory_hosts):
    """Units, processes, containers and workloads run and do not restart, and pages say healthy, over several reads in a row."""
    gate.judge(judge.judge_health, probe.health(stack, inventory_hosts), stack)
