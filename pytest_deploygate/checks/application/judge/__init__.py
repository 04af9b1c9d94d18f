"""Judges what was seen."""

from __future__ import annotations

from pytest_deploygate.checks.application.judge.readiness import judge_readiness
from pytest_deploygate.checks.application.judge.replicas import judge_replicas

__all__ = ["judge_readiness", "judge_replicas"]
