"""Judges of authentication: pure functions from facts and the section to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.authentication.judge.access import judge_access
from pytest_deploygate.checks.authentication.judge.lockout import judge_lockout
from pytest_deploygate.checks.authentication.judge.logins import judge_logins
from pytest_deploygate.checks.authentication.judge.tokens import judge_tokens

__all__ = ["judge_access", "judge_lockout", "judge_logins", "judge_tokens"]
