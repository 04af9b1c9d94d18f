"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.log_delivery.probe.deliver import deliver

__all__ = ["deliver"]
