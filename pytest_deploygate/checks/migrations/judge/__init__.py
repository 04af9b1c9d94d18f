"""Pure judges: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.migrations.judge.lint import judge_lint
from pytest_deploygate.checks.migrations.judge.versions import judge_versions

__all__ = ["judge_lint", "judge_versions"]
