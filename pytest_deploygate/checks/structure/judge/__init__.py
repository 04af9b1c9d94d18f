"""Pure judges: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.structure.judge.amcheck import judge_amcheck
from pytest_deploygate.checks.structure.judge.indexes import ExpectedIndexes, judge_indexes
from pytest_deploygate.checks.structure.judge.partitions import judge_partitions
from pytest_deploygate.checks.structure.judge.plans import judge_plan
from pytest_deploygate.checks.structure.judge.tables import (
    ExpectedAll,
    ExpectedRelation,
    judge_relation,
    judge_surplus,
)

__all__ = [
    "ExpectedAll",
    "ExpectedIndexes",
    "ExpectedRelation",
    "judge_amcheck",
    "judge_indexes",
    "judge_partitions",
    "judge_plan",
    "judge_relation",
    "judge_surplus",
]
