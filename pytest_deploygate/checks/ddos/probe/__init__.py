"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.ddos.probe.drill import drilled

__all__ = ["drilled"]
