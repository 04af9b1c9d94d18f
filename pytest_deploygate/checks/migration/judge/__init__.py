"""Pure judges: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.migration.judge.answers import judge_aggregation, judge_query
from pytest_deploygate.checks.migration.judge.calculations import judge_calculation
from pytest_deploygate.checks.migration.judge.history import judge_history
from pytest_deploygate.checks.migration.judge.progress import judge_progress
from pytest_deploygate.checks.migration.judge.start import judge_start

__all__ = [
    "judge_aggregation",
    "judge_calculation",
    "judge_history",
    "judge_progress",
    "judge_query",
    "judge_start",
]
