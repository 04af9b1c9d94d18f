"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.access_logs.probe.follow import follow

__all__ = ["follow"]
