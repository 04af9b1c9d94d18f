"""Judges what was seen."""

from __future__ import annotations

from pytest_deploygate.checks.stack.judge.deployed import judge_deployed
from pytest_deploygate.checks.stack.judge.health import judge_health

__all__ = ["judge_deployed", "judge_health"]
