"""Measures; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.uptime.probe.uptime import measure

__all__ = ["measure"]
