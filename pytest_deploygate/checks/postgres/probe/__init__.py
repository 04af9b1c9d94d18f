"""Probes: they observe and never see a limit."""

from __future__ import annotations

from pytest_deploygate.checks.postgres.probe.after_load import left_by_load
from pytest_deploygate.checks.postgres.probe.caches import buffers, redis
from pytest_deploygate.checks.postgres.probe.servers import server_state
from pytest_deploygate.checks.postgres.probe.statements import counted_statements, monitoring
from pytest_deploygate.checks.postgres.probe.validation import answer

__all__ = ["answer", "buffers", "counted_statements", "left_by_load", "monitoring", "redis", "server_state"]
