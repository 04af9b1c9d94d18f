"""Probes: they observe and never see a limit."""

from __future__ import annotations

from pytest_deploygate.checks.structure.probe.amcheck import verify_indexes
from pytest_deploygate.checks.structure.probe.catalog import relation, surplus
from pytest_deploygate.checks.structure.probe.indexes import index_states
from pytest_deploygate.checks.structure.probe.partitions import read_partitions
from pytest_deploygate.checks.structure.probe.plans import plan

__all__ = ["index_states", "plan", "read_partitions", "relation", "surplus", "verify_indexes"]
