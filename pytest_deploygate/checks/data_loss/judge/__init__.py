"""Pure: from what was written and found to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.data_loss.judge.claim import Claimed, judge_claim
from pytest_deploygate.checks.data_loss.judge.writes import judge_nodes, judge_restored

__all__ = ["Claimed", "judge_claim", "judge_nodes", "judge_restored"]
