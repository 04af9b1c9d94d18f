"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.schedulers.probe.sides import sides

__all__ = ["sides"]
