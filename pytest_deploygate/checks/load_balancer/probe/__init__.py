"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.load_balancer.probe.drill import drill, drilled
from pytest_deploygate.checks.load_balancer.probe.entries import entries
from pytest_deploygate.checks.load_balancer.probe.shares import shares
from pytest_deploygate.checks.load_balancer.probe.states import backends

__all__ = ["backends", "drill", "drilled", "entries", "shares"]
