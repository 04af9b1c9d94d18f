"""DNS: the zone and its names, their failover, and the cutover."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.dns import judge, probe


@pytest.mark.item("infra.dns-failover")
def test_zone(gate, dns):
    """All servers serve the zone at one serial, as delegated, and refuse zone transfers."""
    gate.judge_confirmed(
        judge.judge_zone, probe.zone(dns), lambda: probe.zone(dns), dns, target=f"zone {dns.zone}"
    )


@pytest.mark.item("infra.dns-failover")
def test_name(gate, dns, dns_name, dns_observations):
    """Every server and resolver returns the expected records with a short TTL; the standby is healthy."""
    facts = probe.name(dns, dns_name)
    earlier = probe.remember(dns_observations, facts)
    timeout_s = dns.timeout.total_seconds()
    found = judge.Named(facts, earlier, probe.standby_health(dns_name, timeout_s))

    def again():
        return judge.Named(probe.name(dns, dns_name), earlier, probe.standby_health(dns_name, timeout_s))

    switching = dns_name.name in [cutover.name for cutover in dns.cutover]
    gate.judge_confirmed(judge.judge_name, found, again, judge.ExpectedName(dns, dns_name, switching))


@pytest.mark.item("infra.dns-failover")
@pytest.mark.disruptive(otherwise="judge the drill on record")
def test_dns_failover(gate, dns, dns_name, inventory, allow_disruptive, budget):
    """A drill, run now if allowed, else on record, made the name point to the standby in time."""
    target = f"failover of {dns_name.name}"
    if dns_name.standby is None:
        gate.judge(judge.judge_without_standby, dns_name, dns, target=target)
        return
    now = allow_disruptive and dns_name.failover
    drilled = probe.failover_drill(dns, dns_name, inventory.name, budget) if now else None
    found = probe.failover_evidence(dns, dns_name, drilled, inventory.name)
    gate.judge(judge.judge_failover, found, dns_name.failover, target=target)


@pytest.mark.item("golive.dns")
def test_switched(gate, dns, cutover, dns_observations, show_propagation, budget):
    """Every server and resolver returns the new answer within the deadline; the old TTL has expired."""
    found = probe.watch(dns, cutover, dns_observations, show_propagation, budget)
    gate.judge(judge.judge_cutover, found, cutover)
