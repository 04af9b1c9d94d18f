"""Observes; never sees a limit or an expected version."""

from __future__ import annotations

from pytest_deploygate.checks.stack.probe.deployed import deployed
from pytest_deploygate.checks.stack.probe.health import health

__all__ = ["deployed", "health"]
