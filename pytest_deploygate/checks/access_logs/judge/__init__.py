"""Judges of access logs: pure functions from facts and the section to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.access_logs.judge.logs import judge

__all__ = ["judge"]
