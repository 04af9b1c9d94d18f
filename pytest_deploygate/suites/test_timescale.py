"""TimescaleDB: the extension runs, hypertables are as expected, policies do their work, aggregates are correct.

Without a `timescale` section in the inventory, these tests are left out wherever another test covers the same item.
"""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.timescale import judge


@pytest.mark.item("db.cluster")
def test_timescale_extension(gate, timescale):
    """Version and licence are as expected in every database; something runs the jobs, and none of them fails."""
    expected = judge.expected(timescale.section)
    gate.judge(judge.judge_extension, timescale.extension(), expected, target="timescale")


@pytest.mark.item("db.partitioning", "phase2.partitioning")
def test_timescale_hypertable(gate, timescale, hypertable):
    """The table is a hypertable with the dimensions and chunk width expected; queries over a time range read few chunks."""
    found = timescale.hypertable(hypertable.table)
    gate.judge(judge.judge_hypertable, found, hypertable, target=f"timescale {hypertable.table}")


@pytest.mark.item("db.partitioning", "phase2.partitioning")
def test_timescale_columnstore(gate, timescale, columnstore):
    """Older chunks are compressed as expected, by a policy that works."""
    found = timescale.hypertable(columnstore.table)
    target = f"timescale columnstore of {columnstore.table}"
    gate.judge(judge.judge_columnstore, found, columnstore, target=target)


@pytest.mark.item("db.retention")
def test_timescale_retention(gate, timescale, chunk_retention):
    """A policy drops old chunks; none is left that it should have dropped."""
    found = timescale.hypertable(chunk_retention.table)
    gate.judge(judge.judge_retention, found, chunk_retention, target=f"timescale {chunk_retention.table}")


@pytest.mark.item("phase2.aggregates")
def test_timescale_aggregate(gate, timescale, continuous_aggregate):
    """The continuous aggregate is refreshed by its policy, far enough, and equals a recomputation from its raw rows."""
    found = timescale.aggregate(continuous_aggregate.view)
    target = f"timescale {continuous_aggregate.view}"
    gate.judge(judge.judge_aggregate, found, continuous_aggregate, target=target)
