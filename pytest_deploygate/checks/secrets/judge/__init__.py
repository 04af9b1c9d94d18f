"""Judges of secrets: pure functions from facts and the section to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.secrets.judge.hosts import judge
from pytest_deploygate.checks.secrets.judge.logins import judge_database

__all__ = ["judge", "judge_database"]
