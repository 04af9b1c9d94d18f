"""Endpoints: certificates and TLS."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.tls import judge, section


@pytest.mark.item("infra.certificates")
def test_certificates(gate, edge, endpoint):
    """Every leaf on every address is trusted, for this name, strong, and valid beyond the cutover."""
    profile = section.profile(endpoint.profile or edge.tls.profile)
    gate.judge_confirmed(
        judge.judge_certificates,
        edge.certificates(endpoint),
        lambda: edge.certificates_now(endpoint),
        judge.ExpectedCertificates(endpoint, edge.tls, profile),
    )


@pytest.mark.item("sec.tls")
def test_tls(gate, edge, endpoint, budget):
    """The endpoint accepts nothing outside its Mozilla profile, and HTTP redirects to HTTPS for good (HSTS)."""
    profile = section.profile(endpoint.profile or edge.tls.profile)
    expected = judge.ExpectedProtocols(endpoint, profile, edge.certificates(endpoint))
    gate.judge_confirmed(
        judge.judge_protocols,
        edge.offers(endpoint, budget),
        lambda: edge.offers_now(endpoint, budget),
        expected,
    )


@pytest.mark.item("golive.dns")
def test_certificate_at_the_new_address(gate, edge, cutover):
    """The certificates at the new address are valid for the name."""
    endpoint = cutover.port_443
    profile = section.profile(endpoint.profile or edge.tls.profile)
    gate.judge_confirmed(
        judge.judge_certificates,
        edge.certificates_now(endpoint),
        lambda: edge.certificates_now(endpoint),
        judge.ExpectedCertificates(endpoint, edge.tls, profile),
        target=f"{cutover.name} at the new address",
    )
