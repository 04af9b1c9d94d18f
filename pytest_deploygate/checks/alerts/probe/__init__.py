"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.alerts.probe.drill import routed
from pytest_deploygate.checks.alerts.probe.night import night

__all__ = ["night", "routed"]
