"""Before and on the day: certificates, TLS, DNS, the policy pages and the maintenance page."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.dns.judge import cutover as judge_cutover
from pytest_deploygate.checks.dns.judge import drill as judge_dns_drill
from pytest_deploygate.checks.dns.judge import names as judge_dns
from pytest_deploygate.checks.dns.judge import zone as judge_dns_zone
from pytest_deploygate.checks.dns.probe import drill as dns_drill
from pytest_deploygate.checks.dns.probe import history as dns_history
from pytest_deploygate.checks.dns.probe import names as probe_dns
from pytest_deploygate.checks.dns.probe import propagation, standby
from pytest_deploygate.checks.pages import judge as judge_pages
from pytest_deploygate.checks.pages import probe as probe_pages
from pytest_deploygate.checks.tls.judge import certificates as judge_certificates
from pytest_deploygate.checks.tls.judge import protocols as judge_tls
from pytest_deploygate.checks.tls.section.guidelines import profile


@pytest.mark.item("infra.certificates")
def test_certificates(gate, edge, endpoint):
    """Every leaf on every address is trusted, for this name, strong, and lives beyond the cutover."""
    expected = judge_certificates.Expected(endpoint, edge.tls, profile(endpoint.profile or edge.tls.profile))
    gate.judge_confirmed(
        judge_certificates.judge,
        edge.certificates(endpoint),
        lambda: edge.certificates_now(endpoint),
        expected,
    )


@pytest.mark.item("sec.tls")
def test_tls(gate, edge, endpoint):
    """The endpoint agrees to nothing outside its Mozilla profile, and HTTP leads to HTTPS and stays there."""
    expected = judge_tls.Expected(
        endpoint, profile(endpoint.profile or edge.tls.profile), edge.certificates(endpoint)
    )
    gate.judge_confirmed(judge_tls.judge, edge.offers(endpoint), lambda: edge.offers_now(endpoint), expected)


@pytest.mark.item("infra.dns-failover")
def test_zone(gate, dns):
    """All servers serve the zone at one serial, as delegated, and give it away to nobody."""
    target = f"zone {dns.zone}"
    gate.judge_confirmed(
        judge_dns_zone.judge_zone, probe_dns.zone(dns), lambda: probe_dns.zone(dns), dns, target=target
    )


@pytest.mark.item("infra.dns-failover")
def test_name(gate, dns, dns_name, dns_observations):
    """Every server and resolver gives the expected records with a short TTL; the standby is healthy."""
    facts = probe_dns.name(dns, dns_name)
    earlier = dns_history.remember(dns_observations, facts)
    timeout_s = dns.timeout.total_seconds()
    found = judge_dns.Named(facts, earlier, standby.ask(dns_name, timeout_s))

    def again():
        return judge_dns.Named(probe_dns.name(dns, dns_name), earlier, standby.ask(dns_name, timeout_s))

    switching = dns_name.name in [cutover.name for cutover in dns.cutover]
    gate.judge_confirmed(judge_dns.judge_name, found, again, judge_dns.ExpectedName(dns, dns_name, switching))


@pytest.mark.item("infra.dns-failover")
@pytest.mark.disruptive(otherwise="judge the drill on record")
def test_dns_failover(gate, dns, dns_name, allow_disruptive):
    """A drill, done now where that is allowed, else on record, made the name point to the standby in time."""
    if dns_name.standby is None:
        gate.judge(
            judge_dns_drill.judge_without_standby, dns_name, dns, target=f"failover of {dns_name.name}"
        )
        return
    drilled = dns_drill.drill(dns, dns_name) if allow_disruptive and dns_name.failover else None
    gate.judge(
        judge_dns_drill.judge,
        dns_drill.evidence(dns, dns_name, drilled),
        dns_name.failover,
        target=f"failover of {dns_name.name}",
    )


@pytest.mark.item("golive.dns")
def test_switched(gate, dns, cutover, dns_observations, show_propagation):
    """Every server and resolver gives the new answer within the deadline; the old one's TTL has run out."""
    found = propagation.watch(dns, cutover, dns_observations, show_propagation)
    gate.judge(judge_cutover.judge, found, cutover)


@pytest.mark.item("golive.dns")
def test_certificate_at_the_new_address(gate, edge, cutover):
    """The certificates at the new address are right for the name."""
    endpoint = cutover.port_443
    expected = judge_certificates.Expected(endpoint, edge.tls, profile(endpoint.profile or edge.tls.profile))
    gate.judge_confirmed(
        judge_certificates.judge,
        edge.certificates_now(endpoint),
        lambda: edge.certificates_now(endpoint),
        expected,
        target=f"{cutover.name} at the new address",
    )


@pytest.mark.item("comp.privacy-policy")
def test_privacy_policy(gate, pages, privacy_policy):
    """The privacy policy is served and of a date not before its change."""
    _policy(gate, pages, privacy_policy)


@pytest.mark.item("comp.terms")
def test_terms(gate, pages, terms):
    """The terms of service are served and of a date not before their change."""
    _policy(gate, pages, terms)


def _policy(gate, pages, policy):
    def read():
        return probe_pages.read(policy.url, pages)

    gate.judge_confirmed(judge_pages.judge_policy, read(), read, policy)


@pytest.mark.item("day.maintenance-page")
def test_maintenance_page(gate, pages, maintenance):
    """The page answers 503 with Retry-After, is small, and needs nothing but its server."""

    def read():
        return probe_pages.reads(maintenance.url, pages)

    gate.judge_confirmed(judge_pages.judge_maintenance, read(), read, maintenance)


@pytest.mark.item("day.maintenance-page")
@pytest.mark.disruptive(otherwise="judge the drill on record")
def test_maintenance_drill(gate, pages, maintenance, allow_disruptive):
    """A drill, done now where that is allowed, else on record, saw this page with the application down."""
    drilled = probe_pages.drill(pages) if allow_disruptive and maintenance.drill else None
    found = probe_pages.maintenance(maintenance.url, pages, drilled)
    gate.judge(judge_pages.judge_drill, found, maintenance, target="drill")
