"""Measures; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.resources.probe.control_groups import control_groups
from pytest_deploygate.checks.resources.probe.use import course, peaks

__all__ = ["control_groups", "course", "peaks"]
