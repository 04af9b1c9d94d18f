"""What a claim of zero loss rests on: the settings, what is at risk now, and a fault that was injected."""

from __future__ import annotations

from pytest_deploygate.checks.data_loss.facts import Claim
from pytest_deploygate.checks.data_loss.probe.setup import Setup
from pytest_deploygate.checks.data_loss.probe.writing import written
from pytest_deploygate.checks.replication.probe import failover_evidence, managed_evidence
from pytest_deploygate.checks.replication.section import Failover, Managed
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.model import CannotTell, NotCovered


def claim(
    setup: Setup,
    failover: Failover | None,
    environment: str,
    budget: Budget | None = None,
    managed: Managed | None = None,
) -> Claim:
    """Return it for the cluster that was written to. `environment` is the inventory's name. Raises CannotTell."""
    found = written(setup, budget)
    try:
        if managed is not None and failover is None:
            drills = managed_evidence(setup.cluster, managed, {}, environment)
            return Claim(found.commits, found.risk, None, managed=drills)
        drill = failover_evidence(setup.cluster, failover, None, environment)
    except (CannotTell, NotCovered) as unknown:
        return Claim(found.commits, found.risk, None, str(unknown))
    return Claim(found.commits, found.risk, drill)
