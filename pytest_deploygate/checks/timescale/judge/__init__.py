"""Judges, pure: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.timescale.judge.aggregates import judge_aggregate
from pytest_deploygate.checks.timescale.judge.extension import expected, judge_extension
from pytest_deploygate.checks.timescale.judge.hypertables import judge_hypertable
from pytest_deploygate.checks.timescale.judge.policies import judge_columnstore, judge_retention

__all__ = [
    "expected",
    "judge_aggregate",
    "judge_columnstore",
    "judge_extension",
    "judge_hypertable",
    "judge_retention",
]
