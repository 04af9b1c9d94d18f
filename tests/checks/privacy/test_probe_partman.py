"""Real pg_partman (4.7 on PostgreSQL 15): its policy, what its maintenance left, its partitions, and every misconfiguration."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from scratch_cluster import Scratch

from pytest_deploygate.checks.privacy.judge import retention as judge_retention
from pytest_deploygate.checks.privacy.probe import retention
from pytest_deploygate.checks.privacy.section import Retained
from pytest_deploygate.checks.structure.judge import partitions as judge_partitions
from pytest_deploygate.checks.structure.probe import partitions
from pytest_deploygate.checks.structure.section import Partitioned
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Verdict

KEPT = Retained.model_validate(
    {"table": "parted.rows", "column": "at", "keep": "10d", "slack": "1d", "partman": "partman"}
)
RANGES = Partitioned.model_validate({"table": "parted.rows", "column": "at", "interval": "1d", "ahead": "3d"})
SETUP = """
DROP SCHEMA IF EXISTS parted CASCADE; CREATE SCHEMA parted;
CREATE TABLE parted.rows (at timestamptz NOT NULL, value int) PARTITION BY RANGE (at);
CREATE INDEX ON parted.rows (at);
DELETE FROM partman.part_config;
SELECT partman.create_parent('parted.rows', 'at', 'native', 'daily', p_premake => 5,
    p_start_partition => (now() - interval '20 days')::text);
UPDATE partman.part_config SET retention = '10 days', retention_keep_table = false WHERE parent_table = 'parted.rows';
INSERT INTO parted.rows SELECT now() - n * interval '1 day', n FROM generate_series(0, 18) n;
GRANT USAGE ON SCHEMA parted, partman TO gate; GRANT SELECT ON ALL TABLES IN SCHEMA parted, partman TO gate;
"""


@pytest.fixture
def made(nodes: Scratch) -> Iterator[Callable[[str], list[tuple]]]:
    if not nodes.sql("db1", "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_partman'"):
        pytest.skip("pg_partman is not installed here: apt install postgresql-15-partman")
    nodes.sql("db1", "CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman")
    nodes.sql("db1", f"SET timezone = 'UTC'; {SETUP}")
    yield lambda text: nodes.sql("db1", f"SET timezone = 'UTC'; {text}")
    nodes.sql("db1", "DROP EXTENSION pg_partman CASCADE; DROP SCHEMA parted, partman CASCADE")


def judged(cluster: Cluster):
    return judge_retention.judge_retention(retention.retained_rows(cluster, KEPT), KEPT)


def test_rows_past_the_retention_fail_until_its_maintenance_has_run(cluster: Cluster, made: Callable) -> None:
    """The policy alone does not pass; once run_maintenance has dropped the old partitions, it does."""
    before = judged(cluster)
    assert before.verdict is Verdict.FAIL
    assert "rows are older than 10 d + 24 h slack" in before.reason
    made("SELECT partman.run_maintenance('parted.rows')")
    after = judged(cluster)
    assert after.verdict is Verdict.PASS, after.reason
    ranges = judge_partitions.judge_partitions(partitions.read_partitions(cluster, RANGES), RANGES)
    assert ranges.verdict is Verdict.PASS, ranges.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE partman.part_config SET retention = NULL", "pg_partman's retention for it is none, expected 10 d"),
        ("UPDATE partman.part_config SET retention = '30 days'", "retention for it is 30 d, expected 10 d"),
        ("UPDATE partman.part_config SET automatic_maintenance = 'off'", "automatic_maintenance is off"),
        ("UPDATE partman.part_config SET retention_keep_table = true", "only detaches its old partitions"),
        ("DELETE FROM partman.part_config", "pg_partman has no row for it in partman.part_config"),
    ],
)  # fmt: skip
def test_each_policy_that_removes_nothing_fails(
    cluster: Cluster, made: Callable, change: str, words: str
) -> None:
    made("SELECT partman.run_maintenance('parted.rows')")
    made(change)
    found = judged(cluster)
    assert found.verdict is Verdict.FAIL
    assert words in found.reason


def test_maintenance_that_no_longer_makes_partitions_is_seen(cluster: Cluster, made: Callable) -> None:
    """Partitions of the next days are missing, and today's rows are in the default one."""
    made("""DO $$ DECLARE part regclass; BEGIN FOR part IN SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent = 'parted.rows'::regclass AND inhrelid::regclass::text > 'parted.rows_p' || to_char(now(), 'YYYY_MM_DD')
        AND inhrelid::regclass::text !~ 'default' LOOP EXECUTE 'DROP TABLE ' || part; END LOOP; END $$""")
    made("INSERT INTO parted.rows VALUES (now() + interval '2 days', 1)")
    found = judge_partitions.judge_partitions(partitions.read_partitions(cluster, RANGES), RANGES)
    assert found.verdict is Verdict.FAIL
    assert "ahead of now" in found.reason
    assert "parted.rows_default" in found.reason


def test_a_retention_that_is_no_interval_is_said(cluster: Cluster, made: Callable) -> None:
    """Partitions by number have a number as retention: it cannot be compared, and must not end in a traceback."""
    made("UPDATE partman.part_config SET retention = 'a lot'")
    found = judged(cluster)
    assert found.verdict is Verdict.FAIL
    assert "is not an interval: 'a lot'" in found.reason
