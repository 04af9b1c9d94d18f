"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.monitoring.probe.alertmanagers import alertmanagers
from pytest_deploygate.checks.monitoring.probe.exporters import exporters
from pytest_deploygate.checks.monitoring.probe.freshness import freshness
from pytest_deploygate.checks.monitoring.probe.grafana import grafana
from pytest_deploygate.checks.monitoring.probe.moved import moved
from pytest_deploygate.checks.monitoring.probe.server import server

__all__ = ["alertmanagers", "exporters", "freshness", "grafana", "moved", "server"]
