"""Access logs: each request is there, with what is needed and without secrets."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.access_logs import judge, probe


@pytest.mark.item("sec.access-logs")
def test_access_logs(gate, access_logs, log_hosts):
    """A request appears in the log of each hop in time, whole, without its secrets; files are protected and rotated."""
    gate.judge(judge.judge, probe.follow(access_logs, log_hosts), access_logs)
