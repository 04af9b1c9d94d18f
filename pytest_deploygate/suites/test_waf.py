"""The web application firewall: it blocks attacks, lets users pass, and cannot be gone around."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.waf import judge, probe


@pytest.mark.item("sec.waf")
@pytest.mark.disruptive(otherwise="run where the inventory opts in, else judge the run on record")
def test_waf(gate, waf, waf_hosts, budget, inventory, allow_disruptive):
    """Attacks are blocked as the rule set may be expected to, ordinary requests pass, and origins are closed."""
    found = probe.attack(waf, inventory.name, budget, waf_hosts, allowed=allow_disruptive)
    gate.judge(judge.judge, found, waf)
