"""The policy pages and the maintenance page."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.pages import judge, probe


@pytest.mark.item("comp.privacy-policy")
def test_privacy_policy(gate, pages, privacy_policy):
    """The privacy policy is served, and its date is not before its last change."""
    _policy(gate, pages, privacy_policy)


@pytest.mark.item("comp.terms")
def test_terms(gate, pages, terms):
    """The terms of service are served, and their date is not before their last change."""
    _policy(gate, pages, terms)


def _policy(gate, pages, policy):
    def read():
        return probe.read(policy, pages)

    gate.judge_confirmed(judge.judge_policy, read(), read, policy)


@pytest.mark.item("day.maintenance-page")
def test_maintenance_page(gate, pages, maintenance):
    """The page answers 503 with Retry-After, is small, and depends on nothing but its server."""

    def read():
        return probe.reads(maintenance, pages)

    gate.judge_confirmed(judge.judge_maintenance, read(), read, maintenance)


@pytest.mark.item("day.maintenance-page")
@pytest.mark.disruptive(otherwise="judge the drill on record")
def test_maintenance_drill(gate, pages, maintenance, inventory, allow_disruptive, budget):
    """A drill, run now if allowed, else on record, saw this page with the application down."""
    drilled = probe.drill(pages, inventory.name, budget) if allow_disruptive and maintenance.drill else None
    found = probe.maintenance(maintenance, pages, drilled, inventory.name)
    gate.judge(judge.judge_drill, found, maintenance, target="drill")
