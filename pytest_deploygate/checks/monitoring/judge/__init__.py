"""Judges what was seen."""

from __future__ import annotations

from pytest_deploygate.checks.monitoring.judge.alertmanagers import judge_alertmanagers
from pytest_deploygate.checks.monitoring.judge.exporters import judge_exporters
from pytest_deploygate.checks.monitoring.judge.freshness import judge_freshness
from pytest_deploygate.checks.monitoring.judge.grafana import judge_grafana
from pytest_deploygate.checks.monitoring.judge.moved import judge_moved
from pytest_deploygate.checks.monitoring.judge.server import judge_server

__all__ = [
    "judge_alertmanagers",
    "judge_exporters",
    "judge_freshness",
    "judge_grafana",
    "judge_moved",
    "judge_server",
]
