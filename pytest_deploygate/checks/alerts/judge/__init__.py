"""Judges; pure."""

from __future__ import annotations

from pytest_deploygate.checks.alerts.judge.night import judge as judge_night
from pytest_deploygate.checks.alerts.judge.routing import judge as judge_routing

__all__ = ["judge_night", "judge_routing"]
