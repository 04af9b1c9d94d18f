"""All drills of an inventory, run now or on record."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.checks.replication.facts import ManagedFacts
from pytest_deploygate.checks.replication.probe.managed import drill, planning
from pytest_deploygate.checks.replication.probe.managed.beginning import Say
from pytest_deploygate.checks.replication.probe.managed.one import Record
from pytest_deploygate.checks.replication.section import Managed, WriteLoad
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.drills import record as drills
from pytest_deploygate.model import CannotTell, NotCovered

__all__ = ["managed_drills", "managed_evidence"]


def managed_drills(
    cluster: Cluster,
    managed: Managed,
    load: WriteLoad | None,
    environment: str,
    budget: Budget | None = None,
    say: Say | None = None,
) -> dict[str, Record]:
    """Print the plan, then run a drill for each fault that can be tried; return the records by fault.

    A failure ends the drills: the cluster may need a person first. Raises CannotTell if one cannot begin.
    """
    about = planning.context(cluster, managed, load, environment)
    tell = say or (lambda _line: None)
    for line in planning.plan(managed, cluster):
        tell(line)
    ran: dict[str, Record] = {}
    for each in managed.faults:
        if each.unavailable is None:
            ran[each.fault] = drill.run(about, each, budget, tell)
            if ran[each.fault].outcome in ("not_rejoined", "not_restored"):
                break
    return ran


def managed_evidence(
    cluster: Cluster,
    managed: Managed,
    ran: Mapping[str, Record] | None = None,
    environment: str = "",
) -> dict[str, drills.Evidence[ManagedFacts]]:
    """Return the drill of this run for each fault, else the record of the last one.

    Raises NotCovered if there is no replica, CannotTell if the configuration cannot be read.
    """
    if not cluster.replicas:
        raise NotCovered(
            "the inventory names no replica; add `replicas: [HOST, …]` to its `database` section"
        )
    about = planning.context(cluster, managed, None, environment)
    common, problem = None, ""
    try:
        common = planning.configuration(about)
    except CannotTell as unknown:
        problem = str(unknown)
    if common is None and not ran:
        raise CannotTell(problem)
    return {
        each.fault: drills.evidence(
            managed.record,
            ManagedFacts,
            ran=(ran or {}).get(each.fault),
            configuration=(common or {}) | planning.commands_of(each),
            environment=environment,
            of=each.fault,
        )
        for each in managed.faults
        if each.unavailable is None
    }
