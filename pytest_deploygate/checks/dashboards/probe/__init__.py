"""Open dashboards and see what is on them."""

from __future__ import annotations

from pytest_deploygate.checks.dashboards.probe.paintings import opened

__all__ = ["opened"]
