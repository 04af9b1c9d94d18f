"""Pure judges: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.postgres.judge.after_load import judge_after_load
from pytest_deploygate.checks.postgres.judge.caches import judge_cache
from pytest_deploygate.checks.postgres.judge.servers import judge_server
from pytest_deploygate.checks.postgres.judge.statements import judge_monitoring, judge_slow
from pytest_deploygate.checks.postgres.judge.validation import judge_validation

__all__ = [
    "judge_after_load",
    "judge_cache",
    "judge_monitoring",
    "judge_server",
    "judge_slow",
    "judge_validation",
]
