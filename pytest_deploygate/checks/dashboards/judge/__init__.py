"""Judges of dashboards: pure, from facts and the section to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.dashboards.judge.whole import judge, judge_open

__all__ = ["judge", "judge_open"]
