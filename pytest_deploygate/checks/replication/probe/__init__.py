"""Probes: they observe and never see a limit."""

from __future__ import annotations

from pytest_deploygate.checks.replication.probe.failover import failover_drill, failover_evidence
from pytest_deploygate.checks.replication.probe.managed.evidence import managed_drills, managed_evidence
from pytest_deploygate.checks.replication.probe.streaming import primary, replica
from pytest_deploygate.checks.replication.probe.write_load import under_write_load

__all__ = [
    "failover_drill",
    "failover_evidence",
    "managed_drills",
    "managed_evidence",
    "primary",
    "replica",
    "under_write_load",
]
