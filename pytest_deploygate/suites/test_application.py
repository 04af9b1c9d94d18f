"""The application: as many replicas as expected run the expected version, and all services are ready."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.application import judge, probe


@pytest.mark.item("phase3.containers")
def test_replicas(gate, application, inventory_hosts):
    """The expected number of replicas run the expected version, also as the load balancer's clients see it; none restarts."""
    gate.judge(judge.judge_replicas, probe.replicas(application, inventory_hosts), application)


@pytest.mark.item("phase3.services")
def test_services_started(gate, application, inventory_hosts):
    """Every service runs and says that it is ready, over several reads in a row."""
    gate.judge(judge.judge_readiness, probe.readiness(application, inventory_hosts), application)
