"""Servers: they answer, are distinct machines, and have what they need."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.hosts import judge, probe


@pytest.mark.item("infra.servers")
def test_servers(gate, hosts):
    """Enough servers answer, are distinct machines in several failure domains, and have the resources that they need."""
    gate.judge(judge.judge, probe.fleet(hosts), hosts)
