"""Briefings, documents and improvements: what a machine can look at beside the attestations."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.handover import judge, probe


@pytest.mark.item("day.briefing")
def test_team_briefing(gate, handover, handed_over_since):
    """The team was briefed for this change, with all roles present."""
    gate.judge(judge.briefing, probe.briefings(handover, "day.briefing"), handed_over_since)


@pytest.mark.item("stab.support-brief")
def test_support_briefing(gate, handover, handed_over_since):
    """The support team was briefed for this change."""
    gate.judge(judge.briefing, probe.briefings(handover, "stab.support-brief"), handed_over_since)


@pytest.mark.item("hand.briefing")
def test_operations_briefing(gate, handover, handed_over_since):
    """The operations team was briefed, with both sides present."""
    gate.judge(judge.briefing, probe.briefings(handover, "hand.briefing"), handed_over_since)


@pytest.mark.item("hand.knowledge")
def test_knowledge_transfer(gate, handover, handed_over_since):
    """Knowledge was handed over, with both sides present."""
    gate.judge(judge.briefing, probe.briefings(handover, "hand.knowledge"), handed_over_since)


@pytest.mark.item("stab.documentation")
def test_documentation_updated(gate, handover, handed_over_since):
    """Each document answers, and was brought up to date for this change."""
    gate.judge(judge.documents, probe.documents(handover, "stab.documentation"), handed_over_since)


@pytest.mark.item("hand.documentation")
def test_documentation_handed_over(gate, handover, handed_over_since):
    """Each document that is handed over answers, and was brought up to date for this change."""
    gate.judge(judge.documents, probe.documents(handover, "hand.documentation"), handed_over_since)


@pytest.mark.item("hand.runbook")
def test_runbooks(gate, handover, handed_over_since):
    """Each runbook answers, and was brought up to date for this change."""
    gate.judge(judge.documents, probe.documents(handover, "hand.runbook"), handed_over_since)


@pytest.mark.item("stab.improvements")
def test_improvements(gate, handover):
    """Each improvement has a ticket, which exists where it can be asked for."""
    gate.judge(judge.improvements, probe.improvements(handover), handover)
