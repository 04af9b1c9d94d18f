"""Pure judges: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.replication.judge.failover import judge_failover
from pytest_deploygate.checks.replication.judge.managed import judge_managed
from pytest_deploygate.checks.replication.judge.streaming import judge_cluster, judge_replica
from pytest_deploygate.checks.replication.judge.write_load import judge_write_load

__all__ = ["judge_cluster", "judge_failover", "judge_managed", "judge_replica", "judge_write_load"]
