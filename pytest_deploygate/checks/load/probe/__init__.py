"""Measures; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.load.probe.baselines import baseline
from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.probe.server_histograms import server_histogram

__all__ = ["baseline", "send", "server_histogram"]
