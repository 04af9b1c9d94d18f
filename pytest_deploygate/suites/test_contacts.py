"""The contact list."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.contacts import judge, probe


@pytest.mark.item("hand.contacts")
def test_contacts(gate, contacts, contact_rules, mail_resolvers, acknowledged):
    """Every role has a contact of its own, whose number can exist and whose mail domain takes mail."""
    found = probe.read(contacts, mail_resolvers, contact_rules.timeout, acknowledged)
    gate.judge(judge.judge, found, contact_rules)


@pytest.mark.item("hand.escalation")
def test_escalation(gate, contacts, contact_rules):
    """The escalation has an order, and somebody of it answers at every hour of a week."""
    gate.judge(judge.escalation, probe.escalation(contacts), contact_rules)
