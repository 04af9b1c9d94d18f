"""Measures; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.way_back.probe.loss import lost_since
from pytest_deploygate.checks.way_back.probe.old_side import old_side_writes

__all__ = ["lost_since", "old_side_writes"]
