"""One drill: writers on, the fault, who took over, what was lost, and back again."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from pytest_deploygate.checks.replication.facts import Followed, ManagedFacts, TwoWritable
from pytest_deploygate.checks.replication.probe.failover import COMMAND_BOUND_S, run_command
from pytest_deploygate.checks.replication.probe.held import Held
from pytest_deploygate.checks.replication.probe.managed import whole
from pytest_deploygate.checks.replication.probe.managed.beginning import Say
from pytest_deploygate.checks.replication.probe.managed.planning import Context
from pytest_deploygate.checks.replication.probe.managed.sampling import Sampling
from pytest_deploygate.checks.replication.probe.managed.steps import Step, Steps
from pytest_deploygate.checks.replication.section import Disturbance, WriteLoad
from pytest_deploygate.clients import own_lag, stopping
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.writers import COUNTERS, AnyOf, Ledger, Load, last_count, present
from pytest_deploygate.drills import record as drills
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.judging.histories.checking import checked
from pytest_deploygate.judging.overlaps import overlaps
from pytest_deploygate.model import CannotTell, words_for

Record = drills.Record[ManagedFacts]
#: How long the writers run before the fault, and after the cluster is whole again.
LEAD_S, TAIL_S = 1.5, 1.0
#: How long every node may take to replay the last acknowledged write at the end.
_REPLAYED_S = 15.0
#: A fault takes a moment: a leader that takes writes for longer was not ended by it.
_FELT_S = 5.0
_LEADS = "the leader"
#: Faults that need not move the leader.
_STAYS = ("dcs_lost", "disk_full")


class Drill:
    """One drill; `record` grows with it."""

    def __init__(
        self, about: Context, disturbance: Disturbance, blank: Record, tell: Say, held: Held
    ) -> None:
        self.about, self.disturbance, self.record, self.tell = about, disturbance, blank, tell
        self.held = held
        self.cluster, self.managed = about.cluster, about.managed
        self.steps = Steps(about.managed.record)
        self.at = 0.0
        self.acknowledged: set[int] = set()

    def run(self, budget: Budget) -> Record:
        """Write, disturb, wait, restore, compare."""
        before = whole.leader(self.cluster)
        self._found(before=before.name, synchronous=whole.synchronous(self.cluster, before))
        lag = own_lag.Lag()
        try:
            with markers.rows(self.cluster, before) as (_, mine):
                self._under_load(budget, before, mine)
        finally:
            lag.end()
        self._found(lag=lag.since(self.at))
        if not self.record.outcome:
            facts = self.record.facts
            self._end("good", f"no acknowledged write was lost, {facts.after} leads after {facts.fault}")
        return self.record

    def _under_load(self, budget: Budget, before: Node, mine: markers.Rows) -> None:
        with budget.probe("failover drill", unwatched="it disturbs the leader itself") as spending:
            load = Load(
                self.cluster,
                before,
                self._plan(),
                mine,
                spending,
                # Readers ask as writers do: what was acknowledged before must be seen, also right after a switch.
                way=AnyOf(tuple(self.cluster.nodes), reads="read-write"),
                readers=1,
                counters=COUNTERS,
            )
            sampling = Sampling(self.cluster, self.managed.entries, mine)
            try:
                load.start()
                self._lead(load)
                # Whoever stops us now wants a platform that works: it is restored first.
                with stopping.shielded():
                    self._disturbed(before, load, sampling)
                    load.ended.set()
                    sampling.end()
                    self._compare(load.finish(), mine, sampling)
                    self._back(mine)
            finally:
                load.ended.set()
                sampling.end()

    def _lead(self, load: Load) -> None:
        """Let the writers run; a load that stands still proves nothing."""
        deadline = time.monotonic() + LEAD_S
        while time.monotonic() < deadline and not load.ended.is_set():
            time.sleep(0.05)
        if not load.ledger.acknowledged:
            raise CannotTell(
                f"no drill was begun: no write was acknowledged in {LEAD_S:g} s: {load.ledger.problem or 'no reason is known'}"
            )

    def _plan(self) -> WriteLoad:
        """Write until the drill ends the load."""
        most_s = LEAD_S + TAIL_S + 3 * COMMAND_BOUND_S + self.managed.patience_s
        most_s += self.managed.rejoin_within.total_seconds()
        return self.about.load.model_copy(update={"duration": timedelta(seconds=most_s)})

    def _disturbed(self, before: Node, load: Load, sampling: Sampling) -> None:
        """Bring the fault about, wait for a leader, take the fault back, wait for the former leader."""
        lead = Step(_LEADS, self.cluster.primary.name)
        fault = Step(self.disturbance.fault, before.name, self.disturbance.undo or "")
        self.steps.will(lead)
        if fault.undo:
            self.steps.will(fault)
        self.at = time.monotonic()
        self._found(lead_s=round(self.at - load.began, 3))
        problem = self._bring_about(before)
        try:
            if problem:
                self._end("no_leader", f"{self.disturbance.fault} could not be brought about: {problem}")
                return
            self._await_leader(before, sampling)
            if self.record.facts.after:
                self.about.manager.settle(self.record.facts.after)
        finally:
            if fault.undo:
                undone = run_command(fault.undo, before)
                if undone:
                    self._end("not_restored", f"the fault was not taken back: {undone}")
                else:
                    self.steps.done(fault)
        self._await_whole(before)
        time.sleep(TAIL_S)

    def _bring_about(self, before: Node) -> str:
        if self.disturbance.do:
            return run_command(self.disturbance.do, before)
        return whole.switched(self.cluster, self.about.manager, before, whole.heir(self.cluster, before))

    def _await_leader(self, before: Node, sampling: Sampling) -> None:
        """Wait until clients write and read again. The fault of a lost DCS need not move the leader."""
        stays = self.disturbance.fault in _STAYS
        if self.disturbance.do and not stays:
            problem = self.about.manager.promote(self.managed.patience_s)
            if problem:
                self._end("no_leader", f"nothing was promoted: {problem}")
                return
        deadline = self.at + self.managed.patience_s
        since = self.at + (self._ttl_s() if stays else 0.0)
        while True:
            after = sampling.writable_since(since)
            moved = bool(after) and (stays or after != before.name)
            first = self._first(sampling, "writes")
            lately = not stays or sampling.through("writes", since) is not None
            if moved and lately and first is not None and self._first(sampling, "reads") is not None:
                self._found(after=after)
                self.held.follow(self.cluster, after)
                return
            if stopping.stopped():
                self._end("unproven", "the drill was stopped")
                return
            # Only now: a command for a switchover may have taken longer than that.
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self._end(
            "no_leader",
            f"no node but {before.name} took writes from clients within {words_for(self.managed.patience_s)}"
            + self._came_back(before, sampling),
        )

    def _came_back(self, before: Node, sampling: Sampling) -> str:
        """Say that the former leader itself took writes after the fault: then there was nothing to take over."""
        late_s = max((last - self.at for who, _, last in sampling.seen() if who == before.name), default=0.0)
        if not self.disturbance.do or self.disturbance.fault in _STAYS or late_s < _FELT_S:
            return ""
        return (
            f"; {before.name} itself took writes {words_for(late_s)} after the fault: `do` did not end it, or something started "
            "its server again, which `do` has to end, too"
        )

    def _ttl_s(self) -> float:
        """A leader that loses its DCS goes on until its ttl is over: only then it shows."""
        ttl = self.record.configuration.get("ttl", "")
        return (
            min(float(ttl), self.managed.patience_s / 2) + 1.0 if ttl.replace(".", "", 1).isdigit() else 2.0
        )

    def _first(self, sampling: Sampling, what: str) -> float | None:
        """Return the time of the first client that began after the node that takes writes did, by `time.monotonic`.

        Where nobody took over, it is the one that ended the longest outage since the fault.
        """
        started = self._taken_over(sampling)
        if started == self.at:
            return sampling.through_again(what, self.at)
        return None if started is None else sampling.through(what, started)

    def _taken_over(self, sampling: Sampling) -> float | None:
        """Return when a node other than the former leader was first seen to take writes; the fault's time if none moved."""
        before = self.record.facts.before
        spans = sampling.seen()
        others = [first for who, first, _ in spans if who != before and first >= self.at]
        if others:
            return min(others)
        return self.at if self.disturbance.fault in _STAYS else None

    def _await_whole(self, before: Node) -> None:
        """Wait until the former leader and all others stream from the one that leads."""
        began = time.monotonic()
        limit_s = self.managed.rejoin_within.total_seconds() + 10.0
        if self.managed.manager == "plain" and before.name != self.record.facts.after:
            return  # nobody lets it join: `restore` rebuilds it
        why = whole.wait(self.cluster, limit_s)
        if why:
            self._end("not_rejoined", f"the cluster is not whole {words_for(limit_s)} after the fault: {why}")
        else:
            self._found(rejoined_s=round(time.monotonic() - began, 3))

    def _compare(self, ledger: Ledger, mine: markers.Rows, sampling: Sampling) -> None:
        ledger_ids = set(ledger.acknowledged), set(ledger.indeterminate)
        self._found(
            acknowledged=len(ledger_ids[0]),
            indeterminate=len(ledger_ids[1]),
            samples=sampling.samples,
            longest_unseen_s=round(sampling.longest_unseen_s, 3),
            acknowledged_per_100ms=tuple(ledger.acknowledged_per_100ms),
            **self._times(sampling),
        )
        try:
            node = whole.leader(self.cluster)
            ids = present(self.cluster, node, mine)
            counts = last_count(self.cluster, node, mine)
        except CannotTell as unknown:
            self._end("unproven", f"the writes could not be compared: {unknown}")
            return
        self.acknowledged = ledger_ids[0]
        missing = ledger_ids[0] - ids
        self._found(
            missing=len(missing),
            first_missing=min(missing, default=None),
            phantom=len(ids - ledger_ids[0] - ledger_ids[1]),
            anomalies=checked(ledger.history.rows()).anomalies(counters=counts),
        )
        if missing:
            self._end("lost", f"{node.name} lacks {len(missing)} of {len(ledger_ids[0])} acknowledged writes")
        elif not ledger_ids[0]:
            self._end("unproven", "no write was acknowledged, so nothing was proven")

    def _times(self, sampling: Sampling) -> dict[str, Any]:
        """Return all times, counted from the fault."""

        def since(moment: float | None) -> float | None:
            return None if moment is None else round(moment - self.at, 3)

        started = self._taken_over(sampling)
        spans = [span for span in sampling.seen() if span[2] >= self.at - LEAD_S]
        followed = [
            Followed(
                e.name, since(None if started is None else sampling.through(e.name, max(started, self.at)))
            )
            for e in self.managed.entries
        ]
        return {
            "first_write_s": since(self._first(sampling, "writes")),
            "first_read_s": since(sampling.through("reads", self.at)),
            "entries": tuple(followed),
            "writable": tuple(
                TwoWritable(round(first - self.at, 3), round(last - self.at, 3), (who,))
                for who, first, last in spans
            ),
            "two_writable": tuple(
                TwoWritable(round(first - self.at, 3), round(last - self.at, 3), names)
                for first, last, names in overlaps(spans)
            ),
        }

    def _back(self, mine: markers.Rows) -> None:
        """Let the inventory's primary lead again, and forget the change that is on disk."""
        began = time.monotonic()
        problem = whole.lead(
            self.cluster, self.managed, self.about.manager, self.cluster.primary.name, self.record.facts.after
        )
        if problem:
            self._end("not_restored", f"{self.cluster.primary.name} does not lead again: {problem}")
            return
        self.steps.done(Step(_LEADS, self.cluster.primary.name))
        self.held.follow(self.cluster, self.cluster.primary.name)
        if unfit := self.about.manager.refusal():
            self._end(
                "not_restored",
                f"{self.cluster.primary.name} leads again, but no drill could begin now: {unfit}",
            )
        else:
            self._found(restored_s=round(time.monotonic() - began, 3))
        # Only now: without a manager the other replicas follow the new leader when they are rebuilt, not before.
        self._found(missing_by_node=whole.lacks(self.cluster, self.acknowledged, mine, _REPLAYED_S))
        markers.clean(self.cluster, self.cluster.primary, mine)

    def _end(self, outcome: str, reason: str) -> None:
        self.record = self.record.ended(outcome, reason)

    def _found(self, **facts: Any) -> None:
        self.record = self.record.found(**facts)
