"""Probes: they observe and never see a limit."""

from __future__ import annotations

from pytest_deploygate.checks.migrations.probe.lint import pending_migrations
from pytest_deploygate.checks.migrations.probe.versions import schema_versions

__all__ = ["pending_migrations", "schema_versions"]
