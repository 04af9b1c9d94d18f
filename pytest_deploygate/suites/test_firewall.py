"""Firewall: what must be open is open, what must be closed is closed, and hosts listen as declared."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.firewall import judge, probe


@pytest.mark.item("sec.firewall")
def test_firewall(gate, firewall, inventory_hosts, budget):
    """From each vantage point, what must be open is open and what must be closed is closed; hosts listen and filter as declared."""
    gate.judge(judge.judge, probe.network(firewall, inventory_hosts, budget), firewall)
