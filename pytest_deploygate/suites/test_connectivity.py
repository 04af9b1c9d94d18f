"""Connectivity: every place of the platform reaches the services that it needs."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.connectivity import judge, probe


@pytest.mark.item("phase1.connectivity")
def test_connectivity(gate, connectivity, inventory_hosts, budget):
    """Each place resolves, connects to and hears each of its services, in time, and packets of full size arrive."""
    gate.judge(judge.judge, probe.matrix(connectivity, inventory_hosts, budget), connectivity)
