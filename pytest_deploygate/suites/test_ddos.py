"""DDoS protection on layer 7: one source that asks too much is limited, others are served, slow clients are cut."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.ddos import judge, probe


@pytest.mark.item("sec.ddos")
@pytest.mark.disruptive(otherwise="run where the inventory opts in, else judge the burst on record")
def test_rate_limits_and_slow_clients(gate, ddos, inventory_hosts, budget, inventory, allow_disruptive):
    """A burst from one source is refused as declared while another one is served, and slow connections are cut in time."""
    found = probe.drilled(ddos, inventory_hosts, inventory.name, budget, allowed=allow_disruptive)
    gate.judge(judge.judge, found, ddos)
