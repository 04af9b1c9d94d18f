"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.connectivity.probe.matrix import matrix

__all__ = ["matrix"]
