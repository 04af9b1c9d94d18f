"""Schedulers, jobs and queue consumers run on one side only."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.schedulers import judge, probe


@pytest.mark.item("guard.one-scheduler")
def test_runs_on_one_side(gate, scheduler, cutover_at):
    """The side that must run it runs it, and the other side stands still, in two reads."""
    gate.judge(judge.judge, probe.sides(scheduler, cutover_at), scheduler)
