"""Measures; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.dns.probe.drill import failover_drill, failover_evidence
from pytest_deploygate.checks.dns.probe.history import remember
from pytest_deploygate.checks.dns.probe.names import name, zone
from pytest_deploygate.checks.dns.probe.propagation import watch
from pytest_deploygate.checks.dns.probe.standby import standby_health

__all__ = ["failover_drill", "failover_evidence", "name", "remember", "standby_health", "watch", "zone"]
