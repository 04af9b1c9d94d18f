"""A failover drill through the cluster's manager: writers on, the fault, who took over, what was lost, and back again.

Disruptive. Every change is noted on disk before it is made (`steps`), so that a drill which was killed can be taken back by
the next one, or by `restore`.
"""

from __future__ import annotations

from pytest_deploygate.checks.replication.facts import ManagedFacts
from pytest_deploygate.checks.replication.probe.held import Held, held
from pytest_deploygate.checks.replication.probe.managed.beginning import Say, may_begin, restore_pending
from pytest_deploygate.checks.replication.probe.managed.one import Drill, Record
from pytest_deploygate.checks.replication.probe.managed.planning import Context, commands_of, configuration
from pytest_deploygate.checks.replication.probe.managed.steps import alone
from pytest_deploygate.checks.replication.probe.write_load import ITEM
from pytest_deploygate.checks.replication.section import Disturbance
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients.budget import Budget, Ended
from pytest_deploygate.clients.remembered import forget
from pytest_deploygate.drills import record as drills
from pytest_deploygate.model import CannotTell


def run(
    about: Context, disturbance: Disturbance, budget: Budget | None = None, say: Say | None = None
) -> Record:
    """Run one drill and write its record. Whatever happens after the fault, the cluster is restored.

    Raises CannotTell if it cannot begin: another drill runs, a node is missing, the backup is stale; Ended if it was stopped.
    """
    tell = say or (lambda _line: None)
    if disturbance.unavailable:
        raise CannotTell(f"{disturbance.fault} was not tried: {disturbance.unavailable}")
    with alone(about.managed.record) as dead, about.cluster.changing():
        if dead:
            tell(f"an earlier drill ({dead}) died")
        restore_pending(about, tell)
        may_begin(about)
        with held(about.cluster, about.cluster.primary) as lock:
            return _alone(about, disturbance, budget, tell, lock)


def _alone(about: Context, disturbance: Disturbance, budget: Budget | None, tell: Say, lock: Held) -> Record:
    """Run one drill while no other one can, and write its record. Raises Ended if it was stopped."""
    tell(f"{disturbance.fault}: begins")
    blank = drills.made(
        ManagedFacts(
            fault=disturbance.fault,
            manager=about.managed.manager,
            by_documentation=about.manager.by_documentation,
        ),
        "",
        configuration(about) | commands_of(disturbance),
        environment=about.environment,
    )
    one = Drill(about, disturbance, blank, tell, lock)
    try:
        record = one.run(budget or budgets.unrecorded(ITEM))
    except Ended:
        # The record of an earlier drill stays, unless this one found out something bad before it was stopped.
        forget(about.cluster)
        if one.record.outcome not in ("", drills.GOOD, "unproven"):
            drills.write(about.managed.record, one.record, of=disturbance.fault)
        raise
    forget(about.cluster)
    drills.write(about.managed.record, record, of=disturbance.fault)
    tell(f"{disturbance.fault}: {record.outcome}: {record.reason}")
    return record


def restore(about: Context, say: Say) -> int:
    """Take back what a killed drill left; return how many changes that were. Raises CannotTell."""
    with alone(about.managed.record), about.cluster.changing():
        return restore_pending(about, say)
