"""Judges, pure: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.load.judge.load import judge_latency, latency_criteria, look
from pytest_deploygate.checks.load.judge.regression import Pair, judge_regression, regression_criteria
from pytest_deploygate.checks.load.judge.server_histograms import (
    histogram_criteria,
    judge_histogram,
)
from pytest_deploygate.checks.load.tally import WHOLE

__all__ = [
    "WHOLE",
    "Pair",
    "histogram_criteria",
    "judge_histogram",
    "judge_latency",
    "judge_regression",
    "latency_criteria",
    "look",
    "regression_criteria",
]
