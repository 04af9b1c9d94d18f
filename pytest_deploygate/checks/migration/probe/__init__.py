"""Probes: they observe and never see a limit."""

from __future__ import annotations

from pytest_deploygate.checks.migration.probe.answers import answers
from pytest_deploygate.checks.migration.probe.calculations import recalculated
from pytest_deploygate.checks.migration.probe.history import past
from pytest_deploygate.checks.migration.probe.progress import progress
from pytest_deploygate.checks.migration.probe.start import started

__all__ = ["answers", "past", "progress", "recalculated", "started"]
