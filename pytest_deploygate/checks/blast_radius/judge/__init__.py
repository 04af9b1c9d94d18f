"""Judge what the gate did; see no socket, file or clock."""

from __future__ import annotations

from pytest_deploygate.checks.blast_radius.facts import Ends
from pytest_deploygate.checks.blast_radius.judge.stop import judge_stop
from pytest_deploygate.checks.blast_radius.judge.traces import judge_traces

__all__ = ["Ends", "judge_stop", "judge_traces"]
