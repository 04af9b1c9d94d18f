"""Observes; never sees what is expected."""

from __future__ import annotations

from pytest_deploygate.checks.blast_radius.probe.stop import try_stop
from pytest_deploygate.checks.blast_radius.probe.traces import traces

__all__ = ["traces", "try_stop"]
