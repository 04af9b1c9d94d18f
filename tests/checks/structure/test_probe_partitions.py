"""Partitions on a real server: bounds, gaps, partitions ahead, rows in the default partition, pruning in a plan."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_deploygate.checks.structure.judge.partitions import judge_partitions
from pytest_deploygate.checks.structure.probe.partitions import read_partitions
from pytest_deploygate.checks.structure.section import Partitioned
from pytest_deploygate.model import CannotTell, Verdict

DAYS = """
DO $$ DECLARE d date; BEGIN SET LOCAL timezone = 'UTC';
  FOR d IN SELECT current_date + n FROM generate_series(-9, 5) n LOOP
    EXECUTE format('CREATE TABLE part.d%s PARTITION OF part.t FOR VALUES FROM (%L) TO (%L)',
      to_char(d, 'YYYYMMDD'), d::timestamptz, (d + 1)::timestamptz); END LOOP; END $$
"""
SETUP = f"""
DROP SCHEMA IF EXISTS part CASCADE; CREATE SCHEMA part;
CREATE TABLE part.t (id int, at timestamptz) PARTITION BY RANGE (at); CREATE TABLE part.spare PARTITION OF part.t DEFAULT;
{DAYS};
INSERT INTO part.t SELECT n, now() - n * interval '1 hour' FROM generate_series(1, 200) n;
CREATE TABLE part.plain (at timestamptz); CREATE TABLE part.listed (at timestamptz) PARTITION BY LIST (at);
CREATE TABLE part.other (at timestamptz, id int) PARTITION BY RANGE (id); CREATE TABLE part.bare (at timestamptz) PARTITION BY RANGE (at);
GRANT USAGE ON SCHEMA part TO gate; GRANT SELECT ON ALL TABLES IN SCHEMA part TO gate;
"""


@pytest.fixture
def made(nodes) -> Iterator:
    nodes.sql("db1", SETUP)
    yield lambda text: nodes.sql("db1", text)
    nodes.sql("db1", "DROP SCHEMA IF EXISTS part CASCADE")


def wanted(**more) -> Partitioned:
    return Partitioned.model_validate(
        {"table": "part.t", "column": "at", "interval": "1d", "ahead": "3d", **more}
    )


def judged(cluster, expected: Partitioned):
    return judge_partitions(read_partitions(cluster, expected), expected)


def day(made, n: int) -> str:
    return made(f"SELECT 'part.d' || to_char((now() AT TIME ZONE 'UTC')::date + {n}, 'YYYYMMDD')")[0][0]


def test_a_table_by_day_passes_and_prunes(cluster, made):
    facts = read_partitions(cluster, wanted())
    assert (len(facts.ranges), facts.total, facts.scanned, facts.default_rows) == (15, 16, 1, 0)
    found = judge_partitions(facts, wanted())
    assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.parametrize(
    ("n", "words"), [(-4, "gap from"), (1, "ahead of now"), (0, "there is none for now")]
)
def test_a_day_without_partition_fails(cluster, made, n, words):
    made(f"DROP TABLE {day(made, n)}")
    found = judged(cluster, wanted())
    assert found.verdict is Verdict.FAIL
    assert "gap from" in found.reason
    assert words in found.reason


def test_rows_in_the_default_partition_are_counted_without_analyze(cluster, made):
    made("INSERT INTO part.t SELECT n, '2001-01-01 10:00+00' FROM generate_series(1, 3) n")
    found = judged(cluster, wanted())
    assert found.verdict is Verdict.FAIL
    assert "3 rows are in the default partition part.spare" in found.reason


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"table": "part.nowhere"}, "part.nowhere does not exist"),
        ({"table": "part.plain"}, "is an ordinary table"),
        ({"table": "part.listed"}, "is partitioned by list"),
        ({"table": "part.other"}, "partitioned by RANGE (id), expected RANGE (at)"),
        ({"table": "part.bare"}, "has no range partition"),
        ({"column": "id"}, "expected RANGE (id)"),
        ({"interval": "7d"}, "15 of 15 partitions are not 7 d wide"),
        ({"ahead": "10d"}, "10 d ahead of now"),
    ],
)
def test_what_is_not_as_expected_fails_with_words(cluster, made, more, words):
    found = judged(cluster, wanted(**more))
    assert found.verdict is Verdict.FAIL, found.reason
    assert words in found.reason


def test_an_open_end_is_no_partition_of_the_width(cluster, made):
    """All later rows go into it unnoticed, as into a default partition."""
    made(f"DROP TABLE {day(made, 5)}")
    made("DO $$ BEGIN EXECUTE format('CREATE TABLE part.rest PARTITION OF part.t FOR VALUES FROM (%L) TO (MAXVALUE)',"
         " ((now() AT TIME ZONE 'UTC')::date + 5)::timestamp AT TIME ZONE 'UTC'); END $$")  # fmt: skip
    found = judged(cluster, wanted())
    assert found.verdict is Verdict.FAIL, found.reason
    assert "part.rest has no end" in found.reason


def test_switched_off_pruning_fails(nodes, cluster, made):
    nodes.sql("db1", "ALTER ROLE gate SET enable_partition_pruning = off")
    try:
        found = judged(cluster, wanted())
    finally:
        nodes.sql("db1", "ALTER ROLE gate RESET enable_partition_pruning")
    assert found.verdict is Verdict.FAIL
    assert "nothing is pruned" in found.reason


def test_no_permission_cannot_tell(cluster, made):
    made("REVOKE SELECT ON part.spare FROM gate")
    with pytest.raises(CannotTell, match="denies permission"):
        read_partitions(cluster, wanted())


def test_partitions_of_partitions_and_a_dates_style_of_its_own(nodes, cluster, made):
    """A day that is split by hash is still one partition of the table."""
    today = day(made, 0)
    made(f"DROP TABLE {today}; SET timezone = 'UTC';"
         f"DO $$ BEGIN EXECUTE format('CREATE TABLE {today} PARTITION OF part.t FOR VALUES FROM (%L) TO (%L) PARTITION BY HASH (id)',"
         " current_date::timestamptz, (current_date + 1)::timestamptz); END $$;"
         f"CREATE TABLE part.h0 PARTITION OF {today} FOR VALUES WITH (modulus 2, remainder 0);"
         f"CREATE TABLE part.h1 PARTITION OF {today} FOR VALUES WITH (modulus 2, remainder 1)")  # fmt: skip
    nodes.sql("db1", "ALTER ROLE gate SET datestyle = 'SQL, DMY'")
    try:
        found = judged(cluster, wanted())
    finally:
        nodes.sql("db1", "ALTER ROLE gate RESET datestyle")
    assert found.verdict is Verdict.PASS, found.reason
    assert "reads 1 of 16" in found.reason
