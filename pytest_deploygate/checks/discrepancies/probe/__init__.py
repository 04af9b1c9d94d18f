"""What the last comparison of the migration's rows wrote."""

from __future__ import annotations

from pytest_deploygate.checks.discrepancies.probe.written import found

__all__ = ["found"]
