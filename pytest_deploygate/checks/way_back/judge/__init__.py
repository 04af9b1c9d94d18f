"""Judges, pure: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.way_back.judge.baseline import judge_baseline
from pytest_deploygate.checks.way_back.judge.loss import judge_loss
from pytest_deploygate.checks.way_back.judge.old_side import judge_old_side
from pytest_deploygate.checks.way_back.judge.rollback_plan import fits, judge_runbook

__all__ = ["fits", "judge_baseline", "judge_loss", "judge_old_side", "judge_runbook"]
