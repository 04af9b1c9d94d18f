"""Before and on the day: certificates, TLS, DNS, the policy pages and the maintenance page."""

from __future__ import annotations

import pytest

from pytest_deploygate.inventory.guidelines import profile
from pytest_deploygate.judge import certificates as judge_certificates
from pytest_deploygate.judge import tls as judge_tls


@pytest.mark.item("infra.certificates")
def test_certificates(gate, edge, endpoint):
    """Every leaf on every address is trusted, for this name, strong, and lives beyond the cutover."""
    expected = judge_certificates.Expected(endpoint, edge.tls, profile(endpoint.profile or edge.tls.profile))
    gate.judge(judge_certificates.judge, edge.certificates(endpoint), expected)


@pytest.mark.item("sec.tls")
def test_tls(gate, edge, endpoint):
    """The endpoint agrees to nothing outside its Mozilla profile, and HTTP leads to HTTPS and stays there."""
    expected = judge_tls.Expected(
        endpoint, profile(endpoint.profile or edge.tls.profile), edge.certificates(endpoint)
    )
    gate.judge(judge_tls.judge, edge.offers(endpoint), expected)
