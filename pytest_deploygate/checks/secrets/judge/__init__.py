"""Judges of secrets: pure functions from facts and the section to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.secrets.judge.hosts import judge

__all__ = ["judge"]
