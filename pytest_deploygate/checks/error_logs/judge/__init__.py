"""Pure: the errors of some hours against those of the baseline."""

from __future__ import annotations

from pytest_deploygate.checks.error_logs.judge.errors import judge

__all__ = ["judge"]
