"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.secrets.probe.hosts import look

__all__ = ["look"]
