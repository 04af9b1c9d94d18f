"""Write while replication is watched, and look for the writes afterwards.

An id is acknowledged only after its COMMIT returned without a warning: PostgreSQL lets a commit that waits for
synchronous replicas return when it is cancelled, with a warning that it is not replicated. Such an id, and one
whose connection broke, is indeterminate. `statement_timeout` does not end that wait (it is off by then), so
a watchdog cancels it.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field

import psycopg

from pytest_deploygate.checks.replication.facts import LoadFacts, ReplicaUnderLoad
from pytest_deploygate.checks.replication.section import WriteLoad
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.budget import Budget, Ended, Spending
from pytest_deploygate.clients.postgres import beside, markers
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.clients.postgres.cutting import cutting
from pytest_deploygate.clients.remembered import once
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, NotCovered
from pytest_deploygate.redaction import redact

#: A commit that takes longer hangs; no application waits that long.
COMMIT_BOUND_S = 5.0
#: A cancelled commit returns at once.
_CANCELLED_S = 0.5
ITEM = "phase2.replication"
_SHOWN = 10
_REPLAYED = (
    "SELECT pg_is_in_recovery(), (pg_last_wal_replay_lsn() - '0/0')::bigint,"
    " (pg_last_wal_receive_lsn() - '0/0')::bigint"
)
_WRITTEN = "SELECT (pg_current_wal_lsn() - '0/0')::bigint"


@dataclass()
class _Writer:
    """One connection that writes; `since` is when its running statement began."""

    index: int
    connection: Connection
    since: float | None = None
    warning: str = ""


@dataclass()
class Ledger:
    """What became of each id, kept while the writers run."""

    acknowledged: set[int] = field(default_factory=set)
    indeterminate: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    slowest_commit_s: float = 0.0
    hung: bool = False
    problem: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Load:
    """A bounded write load on one node: `start()`, then `finish()` for its ledger."""

    def __init__(
        self, cluster: Cluster, node: Node, plan: WriteLoad, mine: markers.Rows, spending: Spending
    ) -> None:
        self.plan, self.node, self.mine, self.spending = plan, node, mine, spending
        self.ledger = Ledger()
        self.ended = threading.Event()
        self._writers: list[_Writer] = []
        try:
            spending.take(requests=0, connections=plan.writers, opens=0)
            for index in range(plan.writers):
                self._writers.append(_open(cluster, node, index))
        except (CannotTell, Ended):
            self._close()
            raise
        self._threads = [threading.Thread(target=self._write, args=(w,), daemon=True) for w in self._writers]
        self._watchdog = threading.Thread(target=self._watch, daemon=True)
        self.began = 0.0
        self.lasted_s = 0.0

    def start(self) -> None:
        """Start writing."""
        self.began = time.monotonic()
        for thread in (*self._threads, self._watchdog):
            thread.start()

    def finish(self) -> Ledger:
        """Wait for the end: the plan's duration plus at most twice the bound of a commit. Raises Ended."""
        deadline = self.began + self.plan.duration.total_seconds() + 2 * COMMIT_BOUND_S + 5
        try:
            for thread in self._threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        except Ended:
            self.ended.set()
            for thread in self._threads:  # what they wait for has been cancelled
                thread.join(_CANCELLED_S)
            self._close()
            raise
        self.lasted_s = time.monotonic() - self.began
        self.ended.set()
        self._watchdog.join(COMMIT_BOUND_S)
        if any(thread.is_alive() for thread in self._threads):
            self.ledger.hung = True
        else:
            self._close()
        return self.ledger

    def _close(self) -> None:
        for writer in self._writers:
            with contextlib.suppress(psycopg.Error):
                writer.connection.close()

    def _write(self, writer: _Writer) -> None:
        """Write this writer's share of the ids until the time is up or something goes wrong."""
        until = self.began + self.plan.duration.total_seconds()
        for number in itertools.count(writer.index + 1, self.plan.writers):
            due = self.began + number / self.plan.rows_per_second
            if due > until or self.ended.wait(max(0.0, due - time.monotonic())) or time.monotonic() > until:
                return
            try:
                going_on = self._one(writer, number)
            except Ended:  # the thread that waits for us is told, too
                going_on = False
            if not going_on:
                self.ended.set()
                return

    def _one(self, writer: _Writer, number: int) -> bool:
        """Write one id and record the outcome; false ends the load."""
        ledger, writer.warning = self.ledger, ""
        self.spending.take()
        writer.since = began = time.monotonic()
        bucket, problem = ledger.acknowledged, ""
        try:
            with cutting(writer.connection):
                writer.connection.execute(self.mine.insert(), (self.mine.run, number))
            if writer.warning:
                bucket, problem = ledger.indeterminate, writer.warning
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # The connection broke or the server went down: the commit may or may not have happened.
            known = isinstance(error, psycopg.errors.DiskFull | psycopg.errors.LockNotAvailable)
            bucket, problem = (ledger.refused if known else ledger.indeterminate), explain(self.node, error)
        except psycopg.Error as error:
            bucket, problem = ledger.refused, explain(self.node, error)
        writer.since = None
        self.spending.give(wrong=int(bool(problem)))
        with ledger.lock:
            bucket.add(number)
            ledger.slowest_commit_s = max(ledger.slowest_commit_s, time.monotonic() - began)
            ledger.problem = ledger.problem or problem
        return not problem

    def _watch(self) -> None:
        """Cancel a commit that waits too long; it then returns with a warning."""
        while any(thread.is_alive() for thread in self._threads):
            for writer in self._writers:
                since = writer.since
                if since is not None and time.monotonic() - since > COMMIT_BOUND_S:
                    self.ledger.hung = True
                    with contextlib.suppress(psycopg.Error):
                        writer.connection.cancel_safe(timeout=2)
            time.sleep(0.1)


def _open(cluster: Cluster, node: Node, index: int) -> _Writer:
    connection, _ = cluster.writer(node)
    writer = _Writer(index, connection)

    def notice(diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            writer.warning = redact(f"{node.name} warned: {diagnostic.message_primary}")

    connection.add_notice_handler(notice)
    return writer


def under_write_load(
    cluster: Cluster,
    replica: Node,
    plan: WriteLoad | None,
    patience_s: float,
    budget: Budget | None = None,
) -> ReplicaUnderLoad:
    """Return one replica's part of the load, which runs once per session.

    It draws on `budget`; left out, on one that is in no ledger. Raises NotCovered if the inventory sets `load: null`, CannotTell without `writes` or if nothing can be written.
    """
    return run(cluster, plan, patience_s, budget)[replica.name]


def run(
    cluster: Cluster, plan: WriteLoad | None, patience_s: float, budget: Budget | None = None
) -> dict[str, ReplicaUnderLoad]:
    """Write as planned, watch every replica during the load, then look for every acknowledged id for up to `patience_s`."""
    drawn = budget or budgets.unrecorded(ITEM)
    return once(cluster, "write load", lambda: _run(cluster, plan, patience_s, drawn))


def _run(
    cluster: Cluster, plan: WriteLoad | None, patience_s: float, budget: Budget
) -> dict[str, ReplicaUnderLoad]:
    if plan is None:
        raise NotCovered(
            "the inventory sets `load: null` under `replication`; remove it to test replicas under write load"
        )
    with (
        markers.rows(cluster) as (_, mine),
        beside.asking(cluster) as control,
        budget.probe("write load", control=control, connects=False) as spending,
    ):
        load = Load(cluster, cluster.primary, plan, mine, spending)
        names = str(cluster.value(cluster.primary, "SELECT current_setting('synchronous_standby_names')"))
        done = threading.Event()
        with ThreadPoolExecutor(max_workers=len(cluster.replicas) + 1) as pool:
            load.start()
            watched = {n.name: pool.submit(_lag, cluster, n, done) for n in cluster.replicas}
            try:
                ledger = load.finish()
            finally:
                done.set()
        facts = _facts(cluster, load, ledger, names)
        target = int(cluster.value(cluster.primary, _WRITTEN))

        def drain(node: Node) -> ReplicaUnderLoad:
            return _drain(cluster, node, load, (facts, target), watched[node.name].result(), patience_s)

        answers = cluster.everywhere(drain, cluster.replicas)
    return {
        name: a
        if isinstance(a, ReplicaUnderLoad)
        else ReplicaUnderLoad(name, facts, 0, None, 0, None, False, 0, (), 0, str(a))
        for name, a in answers.items()
    }


def _facts(cluster: Cluster, load: Load, ledger: Ledger, names: str) -> LoadFacts:
    missing: int | None = None
    with contextlib.suppress(CannotTell):
        missing = len(ledger.acknowledged - present(cluster, cluster.primary, load.mine))
    return LoadFacts(
        planned_s=load.plan.duration.total_seconds(),
        lasted_s=load.lasted_s,
        writers=load.plan.writers,
        rate_limit=load.plan.rows_per_second,
        acknowledged=len(ledger.acknowledged),
        indeterminate=len(ledger.indeterminate),
        refused=len(ledger.refused),
        slowest_commit_s=ledger.slowest_commit_s,
        commit_bound_s=COMMIT_BOUND_S,
        hung=ledger.hung,
        problem=ledger.problem,
        synchronous_standby_names=names,
        missing_on_primary=missing,
    )


def present(cluster: Cluster, node: Node, mine: markers.Rows) -> set[int]:
    """Return the run's ids that a node has. Raises CannotTell."""
    return {int(row[0]) for row in cluster.rows(node, mine.ids(), (mine.run,))}


def _lag(cluster: Cluster, node: Node, done: threading.Event) -> tuple[int, int | None]:
    """Sample one replica's lag in bytes until the load ends: (samples, greatest)."""
    samples, greatest = 0, None
    while not done.wait(0.2):
        with contextlib.suppress(CannotTell):
            written = int(cluster.value(cluster.primary, _WRITTEN))
            _, replayed, received = cluster.rows(node, _REPLAYED)[0]
            reached = received if node.delayed else replayed
            if reached is not None:
                samples, greatest = samples + 1, max(greatest or 0, written - reached, 0)
    return samples, greatest


def _drain(
    cluster: Cluster,
    node: Node,
    load: Load,
    wanted: tuple[LoadFacts, int],
    lag: tuple[int, int | None],
    patience_s: float,
) -> ReplicaUnderLoad:
    """Wait until the replica has the last position and every acknowledged id, or the wait is over."""
    facts, target = wanted
    began = time.monotonic()
    missing: set[int] = set()
    phantom: set[int] = set()
    with own_lag.watching() as sampled:
        while True:
            in_recovery, replayed, received = cluster.rows(node, _REPLAYED)[0]
            reached = received if node.delayed else replayed
            there = not in_recovery or (reached or 0) >= target
            spent = time.monotonic() - began
            over = sampled.fair_s(began) > patience_s
            if (there or over) and not node.delayed:
                ids = _ids_or_none(cluster, node, load.mine)
                ledger = load.ledger
                missing = ledger.acknowledged - ids
                phantom = ids - ledger.acknowledged - ledger.indeterminate
            if (there and not missing) or over:
                break
            time.sleep(min(0.2, 0.01 + spent / 10))
    return ReplicaUnderLoad(
        node=node.name,
        load=facts,
        samples=lag[0],
        lag_bytes_max=lag[1],
        waited_s=spent,
        drained_s=spent if there and not missing else None,
        ids_read=not node.delayed,
        missing=len(missing),
        first_missing=tuple(sorted(missing)[:_SHOWN]),
        phantom=len(phantom),
        problem="",
        lag=sampled.since(began),
        paused=not there and in_recovery and bool(cluster.value(node, "SELECT pg_is_wal_replay_paused()")),
    )


def _ids_or_none(cluster: Cluster, node: Node, mine: markers.Rows) -> set[int]:
    """Return the ids on a node; a missing table has none."""
    try:
        return present(cluster, node, mine)
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            return set()
        raise
