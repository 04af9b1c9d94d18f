"""Support tickets."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.support_tickets import judge, probe


@pytest.mark.item("after.tickets")
def test_support_tickets(gate, support_tickets, went_live):
    """Since go-live no more tickets came than each severity allows, or than in the same hours before."""
    gate.judge(judge.judge, probe.count(support_tickets, went_live), support_tickets)
