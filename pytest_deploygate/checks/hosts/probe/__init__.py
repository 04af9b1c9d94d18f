"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.hosts.probe.fleet import fleet

__all__ = ["fleet"]
