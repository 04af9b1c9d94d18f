"""The failover drill: stop the primary under write load, promote the best replica, look for every acknowledged write.

Disruptive: `failover_drill` is called only if that is allowed, and writes a dated record. `failover_evidence` reads
the record and the current configuration.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg

from pytest_deploygate.checks.replication.facts import FailoverFacts
from pytest_deploygate.checks.replication.probe.furthest import furthest
from pytest_deploygate.checks.replication.probe.held import held
from pytest_deploygate.checks.replication.probe.servers import read_server, read_standbys
from pytest_deploygate.checks.replication.probe.write_load import ITEM
from pytest_deploygate.checks.replication.section import Failover, WriteLoad
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag, stopping
from pytest_deploygate.clients.budget import Budget, Ended
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.clients.remembered import forget
from pytest_deploygate.clients.writers import Ledger, Load, present
from pytest_deploygate.drills import record as drills
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.judging.histories.checking import checked
from pytest_deploygate.model import CannotTell, NotCovered

Record = drills.Record[FailoverFacts]
Evidence = drills.Evidence[FailoverFacts]
COMMAND_BOUND_S = 120.0
RESTORED_BOUND_S = 60.0
#: If the writers do not notice the stop for this long, it did not stop the primary.
_FELT_S = 5.0


def failover_evidence(
    cluster: Cluster, failover: Failover | None, ran: Record | None = None, environment: str = ""
) -> Evidence:
    """Return the drill of this run, else the record of the last one. `environment` is the inventory's name.

    Raises NotCovered if there is no replica, CannotTell if the configuration cannot be read.
    """
    if not cluster.replicas:
        raise NotCovered(
            "the inventory names no replica; add `replicas: [HOST, …]` to its `database` section"
        )
    return drills.evidence(
        failover.record if failover else None,
        FailoverFacts,
        ran=ran,
        configuration=configuration(cluster, failover),
        environment=environment,
    )


def configuration(cluster: Cluster, failover: Failover | None) -> dict[str, str]:
    """Return what a drill's result depends on: names, roles, settings, versions, commands; no addresses."""
    primary = read_server(cluster, cluster.primary)
    if not primary.answered:
        raise CannotTell(primary.problem)
    database = cluster.settings
    found = {
        "database": database.name,
        "primary": database.primary.name,
        "replicas": ", ".join(
            f"{n.name}{f' delayed {n.delayed}' if n.delayed else ''}{f' from {n.upstream}' if n.upstream else ''}"
            for n in sorted(cluster.replicas, key=lambda n: n.name)
        ),
        "version": str(primary.version),
        "synchronous_standby_names": primary.synchronous_standby_names,
        "synchronous_commit": primary.synchronous_commit,
    }
    if failover:
        found |= {"stop_primary": failover.stop_primary, "promote": failover.promote or "pg_promote()"}
    return found


def failover_drill(
    cluster: Cluster,
    failover: Failover | None,
    plan: WriteLoad | None,
    environment: str = "",
    budget: Budget | None = None,
) -> Record:
    """Run the drill under the writes of `plan` and write its record. After a promotion, the cluster is always restored.

    The writes draw on `budget`; left out, on one that is in no ledger. A stop ends them; if the primary was stopped by then,
    the drill goes on without them until the cluster is restored. Raises CannotTell if it cannot begin: no `failover` section, no `writes`, a node that does not answer.
    """
    if failover is None:
        raise CannotTell(
            "there is no `failover` section under `database.replication`, so no drill can be run"
        )
    blank = drills.made(FailoverFacts(), "", configuration(cluster, failover), environment=environment)
    refusal = _not_synchronous(cluster)
    if refusal:
        # Nothing was done, so the record of an earlier drill stays.
        return replace(blank, outcome="not_synchronous", reason=refusal)
    drill = _Drill(cluster, failover, plan or WriteLoad(), blank)
    with held(cluster, cluster.primary), cluster.changing():
        record = drill.run(budget or budgets.unrecorded(ITEM))
    forget(cluster)
    if drill.ended is not None:
        # Its writes were cut short, so it proves nothing good; the record of an earlier drill stays, unless writes are lost.
        if record.outcome == "lost":
            drills.write(failover.record, record)
        raise drill.ended
    drills.write(failover.record, record)
    return record


def _not_synchronous(cluster: Cluster) -> str:
    """Return why zero loss cannot be claimed here; empty if it can."""
    server = read_server(cluster, cluster.primary)
    waiting = server.synchronous_commit in ("on", "remote_apply")
    partners = [s for s in read_standbys(cluster, cluster.primary) if s.sync_state in ("sync", "quorum")]
    if server.synchronous_standby_names and waiting and partners:
        return ""
    return (
        f"{server.node} has synchronous_standby_names '{server.synchronous_standby_names}', synchronous_commit "
        f"{server.synchronous_commit} and {len(partners)} synchronous replicas: a crash may lose acknowledged writes, "
        "so nothing was stopped"
    )


class _Drill:
    """One drill, step by step; `record` grows with it."""

    def __init__(self, cluster: Cluster, failover: Failover, plan: WriteLoad, blank: Record) -> None:
        self.cluster, self.failover, self.plan, self.record = cluster, failover, plan, blank
        self.stopped_at = self.began = 0.0
        self.ended: Ended | None = None
        self.lag = own_lag.Lag()

    def run(self, budget: Budget) -> Record:
        """Run the drill. Raises Ended if it was ended before the primary was stopped; else that is in `ended`."""
        try:
            return self._run(budget)
        finally:
            self.lag.end()

    def _run(self, budget: Budget) -> Record:
        with markers.rows(self.cluster) as (_, mine):
            ledger = self._under_load(budget, mine)
            # Whoever stops us now wants a platform that works: it is restored first.
            with stopping.shielded():
                return self._after_the_stop(ledger, mine)

    def _under_load(self, budget: Budget, mine: markers.Rows) -> Ledger:
        """Write until the primary is stopped. If we are ended after that, note it and go on to the restore."""
        stop: threading.Timer | None = None
        load: Load | None = None
        try:
            with budget.probe("failover drill", unwatched="it stops the primary itself") as spending:
                load = Load(self.cluster, self.cluster.primary, self._plan(), mine, spending)
                stop = threading.Timer(self._lead_s(), self._stop, [load])
                load.start()
                self.began = load.began
                stop.start()
                ledger = load.finish()
                stop.join(COMMAND_BOUND_S + 5)
                return ledger
        except Ended as ended:
            if stop is None or load is None:
                raise
            stop.cancel()
            if not self.stopped_at:
                raise
            self.ended = ended
            stop.join(COMMAND_BOUND_S + 5)
            return load.ledger

    def _after_the_stop(self, ledger: Ledger, mine: markers.Rows) -> Record:
        if self.record.outcome:
            return self.record
        chosen: Node | None = None
        try:
            chosen = furthest(self.cluster, self.failover.patience_s)
            self._promote(chosen)
            self._compare(chosen, ledger, mine)
        except CannotTell as unknown:
            self._end("not_promoted", str(unknown))
        finally:
            if self.record.facts.writable_after_s is not None and chosen:
                markers.clean(self.cluster, chosen, mine)
                self._restore(chosen)
        if not self.record.outcome:
            self._end("good", f"no acknowledged write was lost, {self.record.facts.promoted} took over")
        return self.record

    def _lead_s(self) -> float:
        """Return how long the load runs before the stop."""
        return self.plan.duration.total_seconds() / 2

    def _plan(self) -> WriteLoad:
        """Write until the stop is noticed: the command may take a while, and the load must be running when it takes effect."""
        return self.plan.model_copy(
            update={"duration": self.plan.duration + timedelta(seconds=COMMAND_BOUND_S)}
        )

    def _end(self, outcome: str, reason: str) -> None:
        self.record = self.record.ended(outcome, reason)

    def _found(self, **facts: Any) -> None:
        self.record = self.record.found(**facts)

    def _stop(self, load: Load) -> None:
        self.stopped_at = time.monotonic()
        problem = run_command(self.failover.stop_primary)
        if not load.ended.wait(_FELT_S):
            load.ended.set()
            problem = problem or f"writes continued for {_FELT_S:g} s after the stop"
        if problem:
            self._end("not_promoted", f"the primary could not be stopped: {problem}")

    def _promote(self, node: Node) -> None:
        """Promote and wait until a row can be written."""
        if self.failover.promote:
            problem = run_command(self.failover.promote, node)
            if problem:
                raise CannotTell(f"{node.name} could not be promoted: {problem}")
        else:
            with contextlib.closing(self.cluster.connect(node, read_only=False, afresh=True)) as connection:
                try:
                    connection.execute("SELECT pg_promote(false)")
                except psycopg.Error as error:
                    raise CannotTell(f"{node.name} could not be promoted: {explain(node, error)}") from error
        deadline = self.stopped_at + self.failover.patience_s + COMMAND_BOUND_S
        while True:
            why = self._try_to_write(node)
            if not why:
                break
            if time.monotonic() > deadline:
                raise CannotTell(f"{node.name} was promoted but takes no writes: {why}")
            time.sleep(0.05)
        after = time.monotonic() - self.stopped_at
        self._found(promoted=node.name, writable_after_s=round(after, 3), lag=self.lag.since(self.stopped_at))

    def _try_to_write(self, node: Node) -> str:
        try:
            if self.cluster.value(node, "SELECT pg_is_in_recovery()"):
                return "it is still in recovery"
            with markers.rows(self.cluster, node) as (connection, mine):
                connection.execute(mine.insert(), (mine.run, 1))
        except (CannotTell, psycopg.Error) as error:
            return str(error)
        return ""

    def _compare(self, node: Node, ledger: Ledger, mine: markers.Rows) -> None:
        ids = present(self.cluster, node, mine)
        missing = ledger.acknowledged - ids
        lost = checked(ledger.history.rows()).presence(ids, ledger.history.rows())
        self._found(
            primary=self.cluster.primary.name,
            lead_s=round(max(0.0, self.stopped_at - self.began), 3),
            acknowledged_per_100ms=tuple(ledger.acknowledged_per_100ms),
            rpo_s=round(lost.lost_s, 3),
            acknowledged=len(ledger.acknowledged),
            indeterminate=len(ledger.indeterminate),
            missing=len(missing),
            first_missing=min(missing, default=None),
            phantom=len(ids - ledger.acknowledged - ledger.indeterminate),
        )
        if missing:
            self._end(
                "lost", f"{node.name} lacks {len(missing)} of {len(ledger.acknowledged)} acknowledged writes"
            )
        elif not ledger.acknowledged:
            self._end("unproven", "no write was acknowledged before the stop, so nothing was proven")

    def _restore(self, node: Node) -> None:
        began = time.monotonic()
        problem = run_command(self.failover.restore, node)
        self.cluster.close()
        deadline = time.monotonic() + RESTORED_BOUND_S
        while not problem:
            why = self._roles()
            if not why:
                self._found(restored_after_s=round(time.monotonic() - began, 3))
                return
            if time.monotonic() > deadline:
                problem = why
            time.sleep(0.1)
        self._end(
            "not_restored", f"the roles of the cluster were not restored: {problem}; {node.name} was promoted"
        )

    def _roles(self) -> str:
        """Return which node does not have its role back; empty if all do."""
        servers = [read_server(self.cluster, node) for node in self.cluster.nodes]
        for server in servers:
            wanted = server.node != self.cluster.primary.name
            if not server.answered or server.in_recovery is not wanted:
                return (
                    server.problem
                    or f"{server.node} is {'in recovery' if server.in_recovery else 'writable'}"
                )
            if wanted and server.receiver != "streaming":
                return f"{server.node} does not stream yet"
        return _not_synchronous(self.cluster)


def run_command(command: str, node: Node | None = None) -> str:
    """Run a command of the inventory; return what went wrong, or nothing. `{node}` in it is replaced by the node's name."""
    if not command.strip():
        return "the command in the inventory is empty"
    # Not ended by a stop: what it changes would be half done.
    ran = commands.run(
        command.replace("{node}", shlex.quote(node.name) if node else ""), within_s=COMMAND_BOUND_S, cut=False
    )
    return f"`{ran.command}` {ran.problem}" if ran.problem else ""
