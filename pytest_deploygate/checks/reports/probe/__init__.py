"""Fetch the files of a report, and ask the database for the same figures."""

from __future__ import annotations

from pytest_deploygate.checks.reports.probe.generated import generated

__all__ = ["generated"]
