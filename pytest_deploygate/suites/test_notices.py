"""Notices that people sent about this change."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.notices import judge, probe


@pytest.mark.item("day.stakeholders")
def test_stakeholders_were_told(gate, notices, told):
    """The notice before the deployment was accepted for all stakeholders, as it is written now."""
    wanted = judge.Wanted("pre-deployment", "stakeholders")
    gate.judge(judge.judge, probe.sent(notices, told, wanted), wanted)


@pytest.mark.item("day.customers")
def test_customers_were_told(gate, notices, told):
    """The notice before the deployment was accepted for all customers, as it is written now."""
    wanted = judge.Wanted("pre-deployment", "customers")
    gate.judge(judge.judge, probe.sent(notices, told, wanted), wanted)


@pytest.mark.item("stab.status")
def test_status_was_told(gate, notices, told):
    """The status after the deployment was accepted for all who are to know it."""
    for audience in notices.status_to:
        wanted = judge.Wanted("status", audience)
        gate.judge(judge.judge, probe.sent(notices, told, wanted), wanted, target=audience)
