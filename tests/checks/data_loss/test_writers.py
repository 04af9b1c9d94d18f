"""The writers on a real cluster: account, reconnecting, and what came when."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import pytest

from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.writers import COUNTERS, AnyOf, Load, last_count, present
from pytest_deploygate.judging.histories.checking import checked
from pytest_deploygate.judging.histories.history import Kind, Outcome


@dataclass(frozen=True)
class Plan:
    duration: timedelta
    writers: int = 2
    rows_per_second: int = 300


def test_a_load_without_a_way_keeps_account_of_each_write(cluster):
    with markers.rows(cluster) as (_, mine), budgets.unrecorded().probe("w", unwatched="test") as spending:
        load = Load(cluster, cluster.primary, Plan(timedelta(seconds=0.4)), mine, spending, readers=1)
        load.start()
        ledger = load.finish()
        assert present(cluster, cluster.primary, mine) == set(ledger.acknowledged)
    assert ledger.acknowledged
    assert not ledger.indeterminate
    assert not ledger.refused
    assert sum(ledger.acknowledged_per_100ms) == len(ledger.acknowledged)
    assert sum(ledger.read_per_100ms) > 0
    for writer in (0, 1):
        mine_only = list(ledger.history.of(writer))
        assert [entry.value for entry in mine_only] == sorted({entry.value for entry in mine_only})
        assert all(a.end_s <= b.begin_s for a, b in pairwise(mine_only))


@pytest.mark.parametrize("back", [0, 6], ids=["healthy", "set back"])
def test_a_counter_that_goes_back_is_a_lost_update(nodes, cluster, back):
    """Histories of real clients: both count one row up, and somebody sets it back as a failover to an old copy would."""
    with markers.rows(cluster) as (_, mine), budgets.unrecorded().probe("w", unwatched="test") as spending:
        load = Load(cluster, cluster.primary, Plan(timedelta(seconds=1.2)), mine, spending, counters=COUNTERS)
        load.start()
        while max((e.value for e in load.ledger.history if e.kind is Kind.INCREMENT), default=0) < 8:
            assert not load.ended.wait(0.02)
        if back:
            nodes.sql(
                "db1", f"UPDATE deploygate.{markers.TABLE} SET id = id - {back} WHERE run = '{mine.counter}'"
            )
        ledger = load.finish()
        counts = last_count(cluster, cluster.primary, mine)
        assert present(cluster, cluster.primary, mine) == set(ledger.acknowledged)
    seen = checked(ledger.history.rows()).anomalies(counters=counts)
    assert bool(seen.lost_updates) is bool(back)
    assert sum(ledger.acknowledged_per_100ms) == len(ledger.acknowledged)
    assert nodes.sql(
        "db1", f"SELECT count(*) FROM deploygate.{markers.TABLE} WHERE run LIKE '{mine.run}%'"
    ) == [(0,)]


def test_writers_with_a_way_connect_again_after_a_restart(nodes, cluster):
    with markers.rows(cluster) as (_, mine), budgets.unrecorded().probe("w", unwatched="test") as spending:
        load = Load(
            cluster,
            cluster.primary,
            Plan(timedelta(seconds=20)),
            mine,
            spending,
            way=AnyOf(cluster.nodes),
            readers=1,
        )
        down_s: list[float] = []
        up_s: list[float] = []

        def restart():
            down_s.append(load.now_s())
            nodes.stop("db1", "immediate")
            nodes.start("db1")
            up_s.append(load.now_s())
            while load.ledger.first_after(up_s[0]) is None and not load.ended.wait(0.02):
                pass
            load.ended.set()

        stop = threading.Timer(0.3, restart)
        load.start()
        stop.start()
        ledger = load.finish()
        stop.join()
        found = present(cluster, cluster.primary, mine)
    assert set(ledger.acknowledged) <= found
    assert found <= set(ledger.acknowledged) | set(ledger.indeterminate)
    assert ledger.reconnected >= 2
    first = ledger.first_after(up_s[0])
    assert first is not None
    assert ledger.first_after(down_s[0], Kind.READ) is not None
    assert any(e.outcome is Outcome.INDETERMINATE for e in ledger.history if e.kind is Kind.WRITE)
    assert len(ledger.acknowledged_per_100ms) > int(first * 10) - 1
