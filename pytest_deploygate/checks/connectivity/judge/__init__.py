"""Judges what was seen."""

from __future__ import annotations

from pytest_deploygate.checks.connectivity.judge.matrix import judge

__all__ = ["judge"]
