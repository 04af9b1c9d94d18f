"""Judges of secrets: pure functions from facts and the section to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.secrets.judge.config_maps import judge_config_maps
from pytest_deploygate.checks.secrets.judge.default_logins import judge_default_login
from pytest_deploygate.checks.secrets.judge.hosts import judge
from pytest_deploygate.checks.secrets.judge.logins import judge_database
from pytest_deploygate.checks.secrets.judge.vault import judge_vault

__all__ = ["judge", "judge_config_maps", "judge_database", "judge_default_login", "judge_vault"]
