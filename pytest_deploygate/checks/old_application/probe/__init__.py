"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.old_application.probe.both import on_new_schema

__all__ = ["on_new_schema"]
