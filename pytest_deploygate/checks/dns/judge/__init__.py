"""Judges, pure: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.dns.judge.cutover import judge_cutover
from pytest_deploygate.checks.dns.judge.drill import judge_failover, judge_without_standby
from pytest_deploygate.checks.dns.judge.names import ExpectedName, Named, judge_name
from pytest_deploygate.checks.dns.judge.zone import judge_zone

__all__ = [
    "ExpectedName",
    "Named",
    "judge_cutover",
    "judge_failover",
    "judge_name",
    "judge_without_standby",
    "judge_zone",
]
