"""Judge of reports: pure, from facts and the section to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.reports.judge.whole import judge

__all__ = ["judge"]
