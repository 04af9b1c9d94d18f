"""Phase 2: the database is migrated, replicated, backed up and answers as expected."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.aggregates import judge as judge_aggregates
from pytest_deploygate.checks.aggregates.probe import aggregates
from pytest_deploygate.checks.jobs import judge as judge_schedules
from pytest_deploygate.checks.jobs.probe import schedules
from pytest_deploygate.checks.migrations.judge import versions as judge_migrations
from pytest_deploygate.checks.migrations.probe import versions as probe_migrations
from pytest_deploygate.checks.postgres.judge import validation as judge_validation
from pytest_deploygate.checks.postgres.probe import validation
from pytest_deploygate.checks.replication.judge import failover as judge_failover
from pytest_deploygate.checks.replication.judge import streaming as judge_replication
from pytest_deploygate.checks.replication.judge import write_load as judge_write_load
from pytest_deploygate.checks.replication.probe import failover, write_load
from pytest_deploygate.checks.replication.probe import streaming as replication
from pytest_deploygate.checks.structure.judge import amcheck as judge_amcheck
from pytest_deploygate.checks.structure.judge import indexes as judge_indexes
from pytest_deploygate.checks.structure.judge import partitions as judge_partitions
from pytest_deploygate.checks.structure.judge import plans as judge_plans
from pytest_deploygate.checks.structure.judge import tables as judge_tables
from pytest_deploygate.checks.structure.probe import amcheck, catalog, partitions, plans
from pytest_deploygate.checks.structure.probe import indexes as probe_indexes


@pytest.mark.item("phase2.migrations")
def test_migrations_are_at_the_head(gate, postgres, migrations):
    """Every node is at the expected head: no migration pending, unknown or half done."""
    gate.judge(judge_migrations.judge, probe_migrations.measure(postgres, migrations), migrations)


@pytest.mark.item("phase2.tables")
def test_table_structure(gate, postgres, tables, snapshot, table):
    """Columns, constraints, triggers, policies, owner and grants are as in the snapshot, on each partition too."""
    expected = judge_tables.Expected(snapshot.relations[table], snapshot.server_major, tuple(tables.ignore))
    gate.judge(judge_tables.judge_relation, catalog.relation(postgres, snapshot, table), expected)


@pytest.mark.item("phase2.tables")
def test_nothing_beside_the_snapshot(gate, postgres, tables, snapshot):
    """No table is there that the snapshot does not have; functions, types and schema grants equal it."""
    expected = judge_tables.ExpectedAll(snapshot, tuple(tables.ignore))
    gate.judge(
        judge_tables.judge_surplus, catalog.surplus(postgres, snapshot), expected, target="whole schema"
    )


@pytest.mark.item("phase2.indexes")
def test_indexes_are_there_and_valid(gate, postgres, indexes, expected_indexes):
    """The expected indexes exist as defined; none is invalid anywhere, none does another's work."""
    expected = judge_indexes.Expected(expected_indexes, tuple(indexes.expected))
    gate.judge(judge_indexes.judge_states, probe_indexes.states(postgres), expected, target="all indexes")


@pytest.mark.item("phase2.indexes")
def test_indexes_are_sound(gate, postgres, indexes):
    """Amcheck finds every B-tree in the order that its definition says."""
    found = amcheck.amcheck(postgres, indexes.amcheck_max_size) if indexes.amcheck else None
    gate.judge(judge_amcheck.judge_amcheck, found, indexes.amcheck, target="amcheck")


@pytest.mark.item("phase2.indexes")
def test_query_uses_index(gate, postgres, indexed_query):
    """The plan of the query uses the index that it was made for."""
    gate.judge(judge_plans.judge_plan, plans.plan(postgres, indexed_query), indexed_query)


@pytest.mark.item("phase2.aggregates")
def test_aggregate_is_fresh_and_right(gate, postgres, aggregate):
    """The aggregate is refreshed on schedule and equals a recomputation from its raw rows."""
    gate.judge(judge_aggregates.judge, aggregates.read(postgres, aggregate), aggregate)


@pytest.mark.item("phase2.partitioning")
def test_partitions(gate, postgres, partitioned):
    """Partitions have the expected width, no gap, some ahead; nothing fell into the default, queries prune."""
    gate.judge(judge_partitions.judge, partitions.read(postgres, partitioned), partitioned)


@pytest.mark.item("phase2.validation")
def test_validation_query(gate, postgres, validation_query):
    """The query gives the expected answer."""
    gate.judge(judge_validation.judge, validation.ask(postgres, validation_query), validation_query)


@pytest.mark.item("phase2.replication")
def test_one_primary(gate, postgres):
    """Exactly one node takes writes, no slot holds WAL for nobody, commits wait as the inventory says."""
    gate.judge(
        judge_replication.judge_cluster,
        replication.primary(postgres),
        postgres.criteria.replication,
        target="cluster",
    )


@pytest.mark.item("phase2.replication")
def test_replica_streams(gate, postgres, replica):
    """The replica streams from its upstream within the lag bounds, and a marker row is read on it."""
    gate.judge(
        judge_replication.judge_replica,
        replication.replica(postgres, replica),
        postgres.criteria.replication,
    )


@pytest.mark.item("phase2.replication")
def test_acknowledged_writes_arrive(gate, postgres, replica):
    """Under write load the replica keeps up, and has every acknowledged row afterwards."""
    gate.judge(
        judge_write_load.judge,
        write_load.measure(postgres, replica),
        postgres.criteria.replication,
        target=f"{replica.name} under load",
    )


@pytest.mark.item("phase2.backup-jobs")
def test_backup_job(gate, postgres, backup_job):
    """The backup is scheduled and switched on; its last run succeeded and is as recent as the schedule says."""
    gate.judge(judge_schedules.judge, schedules.measure(postgres, backup_job), backup_job)


@pytest.mark.item("phase2.replication")
@pytest.mark.disruptive(otherwise="judge the drill on record")
def test_failover_drill(gate, postgres, inventory, allow_disruptive):
    """A drill, done now where that is allowed, else on record, lost no acknowledged write and was quick enough."""
    drilled = failover.drill(postgres) if allow_disruptive else None
    gate.judge(
        judge_failover.judge,
        failover.evidence(postgres, drilled, inventory.name),
        postgres.criteria.replication.failover,
        target="failover drill",
    )
