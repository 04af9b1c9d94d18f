"""Judges what was measured."""

from __future__ import annotations

from pytest_deploygate.checks.resources.judge.control_groups import judge_groups
from pytest_deploygate.checks.resources.judge.criterion import of_headroom, of_use
from pytest_deploygate.checks.resources.judge.headroom import judge_headroom
from pytest_deploygate.checks.resources.judge.use import judge_use

__all__ = ["judge_groups", "judge_headroom", "judge_use", "of_headroom", "of_use"]
