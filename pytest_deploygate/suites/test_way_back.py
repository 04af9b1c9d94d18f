"""Rollback: the runbook before the change; after the cutover what a rollback would lose, and that the old side is not written."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.way_back import judge, probe


@pytest.mark.item("day.rollback-plan")
def test_the_runbook_can_be_relied_on(gate, rollback, runbook):
    """Every step is verified and its dry run passes; the total fits into the window, by recent rehearsals."""
    gate.judge(judge.judge_runbook, runbook, judge.fits(rollback), target="runbook")


@pytest.mark.item("guard.baseline")
def test_what_was_red_before_is_known(gate, baseline_change, wanted_baseline):
    """The items whose failure would call for a rollback were measured before the change."""
    gate.judge(judge.judge_baseline, baseline_change, wanted_baseline, target=baseline_change.change)


@pytest.mark.item("guard.loss-if-rolled-back")
def test_what_a_rollback_would_lose_is_known(gate, postgres, loss, cutover_at, bearable):
    """The rows accepted since the cutover are counted now, and can be saved before anything is restored over them."""
    gate.judge(judge.judge_loss, probe.lost_since(postgres, loss, cutover_at), bearable, target="new side")


@pytest.mark.item("guard.old-side-fenced")
def test_nobody_writes_to_the_old_side(gate, fence, cutover_at):
    """No row was written to the old side since the cutover, and none is during the measurement."""
    gate.judge(judge.judge_old_side, probe.old_side_writes(fence, cutover_at), fence, target=fence.name)
