"""The structure of the database: tables, indexes, plans and partitions are as expected."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.structure import judge, probe


@pytest.mark.item("phase2.tables")
def test_table_structure(gate, postgres, tables, snapshot, table):
    """Columns, constraints, triggers, policies, owner and grants are as in the snapshot, also on each partition."""
    expected = judge.ExpectedRelation(snapshot.relations[table], snapshot.server_major, tuple(tables.ignore))
    gate.judge(judge.judge_relation, probe.relation(postgres, snapshot, table), expected)


@pytest.mark.item("phase2.tables")
def test_nothing_beside_the_snapshot(gate, postgres, tables, snapshot):
    """No table exists that is not in the snapshot; functions, types and schema grants match it."""
    expected = judge.ExpectedAll(snapshot, tuple(tables.ignore))
    gate.judge(judge.judge_surplus, probe.surplus(postgres, snapshot), expected, target="whole schema")


@pytest.mark.item("phase2.indexes")
def test_indexes_are_there_and_valid(gate, postgres, indexes, expected_indexes):
    """The expected indexes exist as defined; none is invalid or redundant."""
    expected = judge.ExpectedIndexes(expected_indexes, tuple(indexes.expected))
    gate.judge(judge.judge_indexes, probe.index_states(postgres), expected, target="all indexes")


@pytest.mark.item("phase2.indexes")
def test_indexes_are_sound(gate, postgres, indexes):
    """Amcheck finds every B-tree in the order of its definition."""
    found = probe.verify_indexes(postgres, indexes.amcheck_max_size) if indexes.amcheck else None
    gate.judge(judge.judge_amcheck, found, indexes.amcheck, target="amcheck")


@pytest.mark.item("phase2.indexes")
def test_query_uses_index(gate, postgres, indexed_query):
    """The plan of the query uses the index that was created for it."""
    gate.judge(judge.judge_plan, probe.plan(postgres, indexed_query), indexed_query)


@pytest.mark.item("db.partitioning", "phase2.partitioning")
def test_partitions(gate, postgres, partitioned):
    """Partitions have the expected width, no gap, and reach ahead; the default partition is empty, queries prune."""
    gate.judge(judge.judge_partitions, probe.read_partitions(postgres, partitioned), partitioned)
