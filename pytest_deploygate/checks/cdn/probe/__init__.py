"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.cdn.probe.assets import asset
from pytest_deploygate.checks.cdn.probe.private import private
from pytest_deploygate.checks.cdn.probe.tried import down, purged, tries

__all__ = ["asset", "down", "private", "purged", "tries"]
