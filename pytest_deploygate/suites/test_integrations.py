"""Integrations: partners answer their contracts with our credentials."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.integrations import judge, probe


@pytest.mark.item("phase3.integrations", "after.integrations", "crit.integrations")
def test_integrations(gate, integration, integration_hosts):
    """Each partner answers its contract to our credential and refuses others; the credential stays valid for long enough."""

    def look():
        return probe.answers(integration, integration_hosts)

    gate.judge_confirmed(judge.judge, look(), look, integration)
