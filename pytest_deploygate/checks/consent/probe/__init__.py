"""Observes; never sees what is allowed."""

from __future__ import annotations

from pytest_deploygate.checks.consent.probe.visits import watched

__all__ = ["watched"]
