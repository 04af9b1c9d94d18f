"""Error logs: what went wrong in the night that did not go wrong before."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.error_logs import judge, probe


@pytest.mark.item("after.error-logs")
def test_error_logs(gate, error_logs, log_hosts):
    """Errors of the night by signature, against the same hours a week before: none is new, none is more frequent."""
    gate.judge(judge.judge, probe.compare(error_logs, log_hosts), error_logs)
