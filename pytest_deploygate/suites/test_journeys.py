"""Users' journeys in a real browser: logins, the critical journeys and workflows, and what the operations team sees."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.journeys import judge, probe


@pytest.mark.item("golive.logins", "crit.login")
def test_logins(gate, browser, journeys, test_user, budget):
    """Each test user logs in, and sees what only users see."""

    def once():
        return probe.logged_in(browser, journeys, test_user, budget)

    gate.judge_confirmed(judge.judge_login, once(), once, judge.Login.of(journeys))


@pytest.mark.item("phase3.smoke")
def test_smoke(gate, browser, journeys, smoke_journey, budget):
    """Each critical journey comes to its end, without a script's error or a failed request of the platform."""
    _walk(gate, browser, journeys, smoke_journey, budget)


@pytest.mark.item("golive.workflows")
def test_workflows(gate, browser, journeys, workflow, budget):
    """Each critical workflow comes to its end, with pictures of its steps."""
    _walk(gate, browser, journeys, workflow, budget)


@pytest.mark.item("after.workflows")
def test_workflows_on_the_day_after(gate, browser, journeys, workflow, budget):
    """The same on the day after."""
    _walk(gate, browser, journeys, workflow, budget)


@pytest.mark.item("hand.monitoring-access")
def test_monitoring_access(gate, browser, journeys, operations_journey, budget):
    """The operations team's account logs in and sees its dashboards."""
    _walk(gate, browser, journeys, operations_journey, budget)


@pytest.mark.item("guard.n-minus-1")
def test_old_application_journeys(gate, browser, journeys, old_journey, budget):
    """What users do in the old application works on the new schema."""
    _walk(gate, browser, journeys, old_journey, budget)


@pytest.mark.item("crit.features")
def test_critical_features(gate, browser, journeys, budget):
    """The critical journeys come to their end. When the run closes, the other items that measure critical features must hold."""
    for journey in journeys.smoke or ():
        _walk(gate, browser, journeys, journey, budget, target=journey.name)
    gate.judge(judge.judge_named, journeys, None, target="items")


def _walk(gate, browser, journeys, journey, budget, target=""):
    def once():
        return probe.walked(browser, journeys, journey, budget)

    gate.judge_confirmed(judge.judge, once(), once, judge.Walk.of(journeys, journey), target=target)
