"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.pooling.probe.console import capacity, pooler
from pytest_deploygate.checks.pooling.probe.pressure import under_pressure

__all__ = ["capacity", "pooler", "under_pressure"]
