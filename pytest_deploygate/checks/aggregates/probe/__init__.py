"""Probes: they observe and never see a limit."""

from __future__ import annotations

from pytest_deploygate.checks.aggregates.probe.aggregates import read

__all__ = ["read"]
