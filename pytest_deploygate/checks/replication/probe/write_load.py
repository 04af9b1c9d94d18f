"""Write while replication is watched, and look for the writes afterwards. The writers are `clients.writers`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor

import psycopg

from pytest_deploygate.checks.replication.facts import LoadFacts, ReplicaUnderLoad
from pytest_deploygate.checks.replication.section import WriteLoad
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.postgres import beside, markers
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.remembered import once
from pytest_deploygate.clients.writers import COMMIT_BOUND_S, Ledger, Load, present
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell, NotCovered

ITEM = "phase2.replication"
_SHOWN = 10
_REPLAYED = (
    "SELECT pg_is_in_recovery(), (pg_last_wal_replay_lsn() - '0/0')::bigint,"
    " (pg_last_wal_receive_lsn() - '0/0')::bigint"
)
_WRITTEN = "SELECT (pg_current_wal_lsn() - '0/0')::bigint"


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
    missing: AbstractSet[int] = set()
    phantom: AbstractSet[int] = set()
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
