"""The gate does no harm: a stop works, and nothing of its probes is left. What they spent is judged when a run closes."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.blast_radius import judge, probe


@pytest.mark.item("guard.blast-radius")
@pytest.mark.alone
def test_gate_does_no_harm(gate, change_folder, own_database, own_scratch):
    """A stop ends whatever a probe waits in within a second; no probe that did not end left anything on the platform."""
    gate.judge(judge.judge_stop, probe.try_stop(change_folder), judge.Ends(), target="stop")
    gate.judge(
        judge.judge_traces, probe.traces(own_database, own_scratch), judge.Ends(), target="left behind"
    )
