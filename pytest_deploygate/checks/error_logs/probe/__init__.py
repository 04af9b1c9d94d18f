"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.error_logs.probe.compare import compare

__all__ = ["compare"]
