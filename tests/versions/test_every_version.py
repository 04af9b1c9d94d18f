"""The probes of phase 2 on every PostgreSQL from 13 to 18, and with roles as on managed servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_deploygate.checks.aggregates import judge as judge_aggregates
from pytest_deploygate.checks.aggregates.probe import aggregates
from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.checks.migrations.judge import versions as judge_migrations
from pytest_deploygate.checks.migrations.probe import versions as migrations
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.checks.postgres.judge import validation as judge_validation
from pytest_deploygate.checks.postgres.probe import validation
from pytest_deploygate.checks.postgres.section.validation import ValidationQuery
from pytest_deploygate.checks.replication.judge import streaming as judge_replication
from pytest_deploygate.checks.replication.judge import write_load as judge_write_load
from pytest_deploygate.checks.replication.probe import streaming as replication
from pytest_deploygate.checks.replication.probe import write_load
from pytest_deploygate.checks.replication.section import Replication
from pytest_deploygate.checks.structure.judge import amcheck as judge_amcheck
from pytest_deploygate.checks.structure.judge import indexes as judge_indexes
from pytest_deploygate.checks.structure.judge import partitions as judge_partitions
from pytest_deploygate.checks.structure.judge import plans as judge_plans
from pytest_deploygate.checks.structure.judge import tables as judge_tables
from pytest_deploygate.checks.structure.probe import amcheck, catalog, indexes, partitions, plans
from pytest_deploygate.checks.structure.section import IndexedQuery, Partitioned
from pytest_deploygate.checks.structure.snapshot import load_snapshot
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Judgement

PART = Partitioned.model_validate({"table": "app.part", "column": "at", "interval": "1d", "ahead": "2d"})
QUERY = IndexedQuery.model_validate(
    {"name": "q", "sql": "SELECT * FROM app.m WHERE name = 'name 77'", "uses": "m_name_idx"}
)
VALUE = ValidationQuery.model_validate({"name": "n", "sql": "SELECT count(*) FROM app.m", "expect": 5000})
VERSION = Migrations.model_validate({"query": "SELECT at FROM app.version", "expect": "42"})


@pytest.fixture
def hourly(tmp_path: Path) -> Aggregate:
    tab = tmp_path / "crontab"
    tab.write_text("* * * * * refresh\n")
    return Aggregate.model_validate(
        {
            "relation": "app.hourly", "bucket": "bucket", "width": "1h", "source": "app.part", "time_column": "at", "key": [],
            "recompute": "SELECT date_trunc('hour', at) AS bucket, count(*) AS n FROM app.part WHERE at >= %(start)s"
            " AND at < %(end)s GROUP BY 1", "schedule": {"crontab": str(tab), "command": "refresh"},
        }
    )  # fmt: skip


def checks(cluster: Cluster, hourly: Aggregate) -> dict[str, Callable[[], Judgement]]:
    """Every check of phase 2 that reads, by name."""
    wanted = Replication.model_validate({"load": {"duration": "300ms"}})
    nothing = judge_indexes.ExpectedIndexes((), ("app.m_name_idx",))
    return {
        "migrations": lambda: judge_migrations.judge_versions(
            migrations.schema_versions(cluster, VERSION), VERSION
        ),
        "indexes": lambda: judge_indexes.judge_indexes(indexes.index_states(cluster), nothing),
        "amcheck": lambda: judge_amcheck.judge_amcheck(amcheck.verify_indexes(cluster, 1024**3), True),
        "plan": lambda: judge_plans.judge_plan(plans.plan(cluster, QUERY), QUERY),
        "aggregate": lambda: judge_aggregates.judge(aggregates.read(cluster, hourly), hourly),
        "partitions": lambda: judge_partitions.judge_partitions(
            partitions.read_partitions(cluster, PART), PART
        ),
        "validation": lambda: judge_validation.judge_validation(validation.answer(cluster, VALUE), VALUE),
        "primary": lambda: judge_replication.judge_cluster(
            replication.primary(cluster, wanted.patience_s), wanted
        ),
        "replica": lambda: judge_replication.judge_replica(
            replication.replica(cluster, cluster.replicas[0], wanted.patience_s), wanted
        ),
        "write load": lambda: judge_write_load.judge_write_load(
            write_load.under_write_load(cluster, cluster.replicas[0], wanted.load, 10.0), wanted
        ),
    }


def answered(check: Callable[[], Judgement]) -> tuple[str, str]:
    """Return verdict and reason; CannotTell from a probe is inconclusive, as in a run."""
    try:
        judged = check()
    except CannotTell as unknown:
        return "inconclusive", str(unknown)
    return str(judged.verdict), judged.reason


def test_all_is_well(pair, cluster, hourly):
    """With the role that README requires every check passes on every version."""
    found = {name: answered(check) for name, check in checks(cluster, hourly).items()}
    assert {name: answer for name, answer in found.items() if answer[0] != "pass"} == {}


def test_the_snapshot_is_what_is_there(pair, cluster, tmp_path):
    """A structure snapshot matches the database it was taken from; a changed column is named."""
    path = tmp_path / "s.json"
    catalog.write_snapshot(cluster, ["app"], path)
    expected = load_snapshot(path)
    assert expected.server_major == pair.major
    assert {"app.m", "app.part", "app.v", "app.w"} <= set(expected.table_names)

    def wrong(opened: Cluster) -> str:
        judged = [
            judge_tables.judge_surplus(catalog.surplus(opened, expected), judge_tables.ExpectedAll(expected))
        ]
        for name in expected.table_names:
            wanted = judge_tables.ExpectedRelation(expected.relations[name], expected.server_major)
            judged.append(judge_tables.judge_relation(catalog.relation(opened, expected, name), wanted))
        return " | ".join(j.reason for j in judged if j.verdict != "pass")

    assert wrong(cluster) == ""
    pair.sql("ALTER TABLE app.m ALTER COLUMN name DROP NOT NULL")
    changed = pair.cluster()
    try:
        assert "name" in wrong(changed)
    finally:
        changed.close()
        pair.sql("ALTER TABLE app.m ALTER COLUMN name SET NOT NULL")


@pytest.mark.parametrize("role", ["monitor", "plain"])
def test_less_rights_are_never_a_pass_or_a_trace(pair, hourly, role):
    """A role without SELECT (and without pg_monitor) gets results that name the missing grant; nothing raises."""
    cluster = pair.cluster(role)
    try:
        found = {name: answered(check) for name, check in checks(cluster, hourly).items()}
    finally:
        cluster.close()
    for name in ("migrations", "amcheck", "plan", "aggregate", "partitions", "validation"):
        verdict, reason = found[name]
        assert verdict == "inconclusive", (name, found[name])
        assert "permission denied" in reason.lower() or "grant" in reason.lower(), (name, reason)
    assert found["write load"][0] == "inconclusive"
    # Everybody may see that only one node accepts writes and what slots retain, but not who streams.
    assert found["primary"][0] == "pass", found["primary"]
    verdict, reason = found["replica"]
    assert verdict == "inconclusive", reason
    assert ("pg_monitor" in reason) == (role == "plain"), reason
