"""The way back: the runbook before the day; after the cutover what going back would lose, and that the old side is quiet."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_deploygate.checks.way_back.judge import baseline as judge_baseline
from pytest_deploygate.checks.way_back.judge import loss as judge_loss
from pytest_deploygate.checks.way_back.judge import old_side as judge_old_side
from pytest_deploygate.checks.way_back.judge import rollback_plan as judge_rollback_plan
from pytest_deploygate.checks.way_back.probe import loss as probe_loss
from pytest_deploygate.checks.way_back.probe import old_side as probe_old_side
from pytest_deploygate.rollback import review


@pytest.mark.item("day.rollback-plan")
def test_the_runbook_can_be_relied_on(gate, rollback, inventory, runbook_tools):
    """Every step is verified and its dry run passes; in all it fits into the window, by rehearsals that are not old."""
    found = review.look(rollback, runbook_tools, inventory.contacts, datetime.now(UTC))
    gate.judge(judge_rollback_plan.judge, found, review.fits(rollback), target="runbook")


@pytest.mark.item("guard.baseline")
def test_what_was_red_before_is_known(gate, baseline_change, wanted_baseline):
    """The items whose failure would call for a rollback were measured before the change."""
    gate.judge(judge_baseline.judge, baseline_change, wanted_baseline, target=baseline_change.change)


@pytest.mark.item("guard.loss-if-rolled-back")
def test_what_a_rollback_would_lose_is_known(gate, postgres, loss, cutover_at, bearable):
    """The rows accepted since the cutover are counted now, and can be saved before anything is restored over them."""
    gate.judge(judge_loss.judge, probe_loss.since(postgres, loss, cutover_at), bearable, target="new side")


@pytest.mark.item("guard.old-side-fenced")
def test_nobody_writes_to_the_old_side(gate, fence, cutover_at):
    """No row was written to the old side since the cutover, and none is while we look."""
    gate.judge(judge_old_side.judge, probe_old_side.look(fence, cutover_at), fence, target=fence.name)
