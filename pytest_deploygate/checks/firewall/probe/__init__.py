"""Observes; never sees what is expected."""

from __future__ import annotations

from pytest_deploygate.checks.firewall.probe.network import network

__all__ = ["network"]
