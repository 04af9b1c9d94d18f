"""Before the day, the database: its servers, replication, pooling, monitoring, retention and partitions."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.pooling import judge as judge_pooling
from pytest_deploygate.checks.pooling.probe import console, pressure
from pytest_deploygate.checks.postgres.judge import servers as judge_servers
from pytest_deploygate.checks.postgres.judge import statements as judge_statements
from pytest_deploygate.checks.postgres.probe import servers, statements
from pytest_deploygate.checks.privacy.judge import retention as judge_retention
from pytest_deploygate.checks.privacy.probe import retention
from pytest_deploygate.checks.replication.judge import streaming as judge_replication
from pytest_deploygate.checks.replication.probe import streaming as replication
from pytest_deploygate.checks.structure.judge import partitions as judge_partitions
from pytest_deploygate.checks.structure.probe import partitions


@pytest.mark.item("db.cluster")
def test_server_is_set_right(gate, postgres, expected_servers, node):
    """Version, durability, checksums, libraries, connections and memory are as expected; nothing waits for a restart."""
    gate.judge(judge_servers.judge, servers.state(postgres, node), expected_servers)


@pytest.mark.item("db.replication")
def test_one_primary_before_the_day(gate, postgres):
    """Exactly one node takes writes, no slot holds WAL for nobody, commits wait as the inventory says."""
    gate.judge(
        judge_replication.judge_cluster,
        replication.primary(postgres),
        postgres.criteria.replication,
        target="cluster",
    )


@pytest.mark.item("db.replication")
def test_replica_streams_before_the_day(gate, postgres, replica):
    """The replica streams from its upstream within the lag bounds, and a marker row is read on it."""
    gate.judge(
        judge_replication.judge_replica,
        replication.replica(postgres, replica),
        postgres.criteria.replication,
    )


@pytest.mark.item("db.pooling")
def test_pools_fit_the_server(gate, postgres, pooling):
    """The pools of all poolers fit under max_connections, less the reserve."""
    gate.judge(
        judge_pooling.judge_capacity, console.capacity(postgres, pooling), pooling, target="arithmetic"
    )


@pytest.mark.item("db.pooling")
def test_pooler_works(gate, postgres, pooler):
    """The pooler answers, pools in the expected mode, and no client waits."""
    gate.judge(judge_pooling.judge_pooler, console.pooler_facts(postgres, pooler), pooler)


@pytest.mark.item("db.pooling")
@pytest.mark.disruptive(otherwise="run where the inventory opts in, else judge the pressure test on record")
def test_more_clients_than_the_server_takes(gate, postgres, pooling, pooler, inventory, allow_disruptive):
    """More clients than the server takes all get their answers, over no more server connections than the pool."""
    found = pressure.measure(postgres, pooling, pooler, inventory.name, allowed=allow_disruptive)
    gate.judge(judge_pooling.judge_pressure, found, pooling.pressure, target=f"{pooler.name} under pressure")


@pytest.mark.item("db.monitoring-queries")
def test_slow_statements_are_seen(gate, postgres, monitoring_queries):
    """pg_stat_statements is loaded and counts; slow statements are logged."""
    gate.judge(judge_statements.judge_monitoring, statements.monitoring(postgres), monitoring_queries)


@pytest.mark.item("db.retention")
def test_old_rows_go(gate, postgres, retained):
    """The job that removes rows is scheduled and succeeded, and no row is older than it should be."""
    gate.judge(judge_retention.judge, retention.read(postgres, retained), retained)


@pytest.mark.item("db.partitioning")
def test_partitions_before_the_day(gate, postgres, partitioned):
    """Partitions have the expected width, no gap, some ahead; nothing fell into the default, queries prune."""
    gate.judge(judge_partitions.judge, partitions.read(postgres, partitioned), partitioned)
