"""Write through the pool, then look for every acknowledged write on each node and in a restored backup."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg

from pytest_deploygate.checks.backups.probe.seen import Backups
from pytest_deploygate.checks.data_loss.facts import Place, Written
from pytest_deploygate.checks.data_loss.probe import risk
from pytest_deploygate.checks.data_loss.probe.commits import commits
from pytest_deploygate.checks.data_loss.probe.restored import look_in_backup
from pytest_deploygate.checks.data_loss.probe.setup import Setup
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.postgres import beside, markers
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.remembered import once
from pytest_deploygate.clients.writers import COUNTERS, Load, last_count
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.judging.histories.checking import Checker, checked
from pytest_deploygate.judging.histories.history import History
from pytest_deploygate.model import CannotTell

ITEM = "crit.data-loss"
_POSITION = "SELECT pg_is_in_recovery(), (pg_last_wal_replay_lsn() - '0/0')::bigint"
WRITTEN = "SELECT (pg_current_wal_lsn() - '0/0')::bigint"


def written(setup: Setup, budget: Budget | None = None) -> Written:
    """Return what became of one load, which runs once per session; the restore of a backup is part of it.

    It draws on `budget`; left out, on one that is in no ledger. Raises CannotTell if nothing can be written.
    """
    drawn = budget or budgets.unrecorded(ITEM)
    return once(setup.cluster, "acknowledged writes", lambda: _written(setup, drawn))


def _written(setup: Setup, budget: Budget) -> Written:
    cluster, plan, way = setup.cluster, setup.criterion.load, setup.way
    if isinstance(way, str):
        raise CannotTell(way)
    waits = commits(cluster, way)
    with markers.rows(cluster) as (_, mine):
        done = threading.Event()
        with (
            beside.asking(cluster) as control,
            budget.probe("writers", control=control, connects=False) as spending,
            ThreadPoolExecutor(1) as pool,
        ):
            load = Load(cluster, cluster.primary, plan, mine, spending, way=way, readers=1, counters=COUNTERS)
            watched = pool.submit(risk.watch, cluster, done)
            load.start()
            try:
                ledger = load.finish()
            finally:
                done.set()
        checker = checked(ledger.history.rows())
        found = Written(
            through=way.name,
            planned_s=plan.duration.total_seconds(),
            lasted_s=load.lasted_s,
            anomalies=checker.anomalies(counters=last_count(cluster, cluster.primary, mine)),
            nodes=_nodes(setup, mine, checker, ledger.history),
            restored=None,
            risk=watched.result(),
            commits=waits,
            hung=ledger.hung,
            problem=ledger.problem,
            left_out=tuple(node.name for node in cluster.replicas if node.delayed),
        )
        if setup.backups is None:
            return found
        return replace(found, restored=_restored(setup, setup.backups, mine, checker, ledger.history, budget))


def _nodes(setup: Setup, mine: markers.Rows, checker: Checker, history: History) -> tuple[Place, ...]:
    cluster = setup.cluster
    try:
        target = int(cluster.value(cluster.primary, WRITTEN))
    except CannotTell as unknown:
        return tuple(Place(node.name, None, str(unknown)) for node in cluster.nodes)

    def look(node: Node) -> Place:
        waited_s = 0.0
        if node.name != cluster.primary.name:
            waited_s, late = replayed(cluster, node, target, setup.criterion.patience_s)
            if late:
                return Place(node.name, None, late, waited_s)
        return Place(node.name, checker.presence(_ids(cluster, node, mine), history.rows()), "", waited_s)

    wanted = [node for node in cluster.nodes if not node.delayed]
    answers = cluster.everywhere(look, wanted)
    return tuple(
        answer if isinstance(answer, Place) else Place(name, None, str(answer))
        for name, answer in answers.items()
    )


def _ids(cluster: Cluster, node: Node, mine: markers.Rows) -> list[int]:
    """Return the ids on a node, as often as they are there; a missing table has none."""
    try:
        return [int(row[0]) for row in cluster.rows(node, mine.ids(), (mine.run,))]
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            return []
        raise


def replayed(cluster: Cluster, node: Node, target: int, patience_s: float) -> tuple[float, str]:
    """Wait until a replica has replayed a position: (how long, why not)."""
    began = time.monotonic()
    while True:
        in_recovery, replayed = cluster.rows(node, _POSITION)[0]
        spent = time.monotonic() - began
        if not in_recovery or (replayed or 0) >= target:
            return spent, ""
        if spent > patience_s:
            behind = target - (replayed or 0)
            return spent, f"it is still {behind:,} bytes behind the last write after {spent:.1f} s"
        time.sleep(min(0.2, 0.01 + spent / 10))


def _restored(
    setup: Setup, backups: Backups, mine: markers.Rows, checker: Checker, history: History, budget: Budget
) -> Place:
    try:
        label, ids, took_s = look_in_backup(setup.cluster, backups, mine, budget)
    except CannotTell as unknown:
        return Place("restored backup", None, str(unknown))
    return Place(f"restored backup {label}", checker.presence(ids, history.rows()), "", took_s)
