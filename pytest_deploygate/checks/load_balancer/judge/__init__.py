"""Judges what was seen."""

from __future__ import annotations

from pytest_deploygate.checks.load_balancer.judge.backends import judge_backends
from pytest_deploygate.checks.load_balancer.judge.drill import judge_drill
from pytest_deploygate.checks.load_balancer.judge.entries import judge_entries
from pytest_deploygate.checks.load_balancer.judge.shares import judge_shares

__all__ = ["judge_backends", "judge_drill", "judge_entries", "judge_shares"]
