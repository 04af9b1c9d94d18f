"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.jobs.probe.schedules import job

__all__ = ["job"]
