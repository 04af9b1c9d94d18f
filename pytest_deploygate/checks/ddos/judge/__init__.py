"""Judges; pure."""

from __future__ import annotations

from pytest_deploygate.checks.ddos.judge.whole import judge

__all__ = ["judge"]
