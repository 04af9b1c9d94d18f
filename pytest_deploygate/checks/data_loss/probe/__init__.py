"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.data_loss.probe.claiming import claim
from pytest_deploygate.checks.data_loss.probe.writing import written

__all__ = ["claim", "written"]
