"""Judges, pure: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.backups.judge.archiving import judge_archiving
from pytest_deploygate.checks.backups.judge.backups import (
    judge_final,
    judge_night,
    judge_repository,
    judge_trial,
)
from pytest_deploygate.checks.backups.judge.restore import judge_rehearsal, judge_restore

__all__ = [
    "judge_archiving",
    "judge_final",
    "judge_night",
    "judge_rehearsal",
    "judge_repository",
    "judge_restore",
    "judge_trial",
]
