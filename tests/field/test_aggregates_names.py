"""Aggregates whose columns are called like the names that our own SQL uses."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from scratch_cluster import Scratch

from pytest_deploygate.checks.aggregates.judge import judge
from pytest_deploygate.checks.aggregates.probe.aggregates import read
from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Verdict

NAMES = ["s", "f", "t", "q", "j", "b", "e", "state", "stored", "recomputed", "bucket", "key", "at", "n", "place", 'Odd "Name', "per%cent", "Größe"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("limit", [5000, 50])
def test_a_key_column_of_any_name(server: Scratch, tmp_path: Path, name: str, limit: int) -> None:
    """Compared whole and by a sample: equal, and one bucket that differs is found."""
    quoted = '"' + name.replace('"', '""') + '"'
    server.sql(
        "db1",
        f"""
        DROP SCHEMA IF EXISTS agg CASCADE; CREATE SCHEMA agg; SET timezone = 'UTC';
        CREATE TABLE agg.raw ({quoted} int, "when" timestamptz, value float8);
        INSERT INTO agg.raw SELECT g % 3, date_trunc('hour', now()) - g * interval '20 min', g FROM generate_series(1, 900) g;
        CREATE TABLE agg.hourly AS SELECT {quoted}, date_trunc('hour', "when") AS "Bucket", count(*) AS total, sum(value) AS f2
        FROM agg.raw GROUP BY 1, 2;
        GRANT USAGE ON SCHEMA agg TO gate; GRANT SELECT ON ALL TABLES IN SCHEMA agg TO gate;
    """,
    )
    (tmp_path / "crontab").write_text("* * * * * refresh\n")
    expected = Aggregate.model_validate({
        "relation": "agg.hourly", "bucket": '"Bucket"', "width": "1h", "key": [quoted], "source": "agg.raw", "time_column": "when",
        "recompute": f"SELECT {quoted.replace('%', '%%')}, date_trunc('hour', \"when\") AS \"Bucket\", count(*) AS total,"
                     ' sum(value) AS f2 FROM agg.raw WHERE "when" >= %(start)s AND "when" < %(end)s GROUP BY 1, 2',
        "schedule": {"crontab": str(tmp_path / "crontab"), "command": "refresh"}, "max_buckets": limit, "max_age": "2h",
    })  # fmt: skip
    with closing(Cluster(server.database())) as cluster:
        good = judge(read(cluster, expected), expected)
        server.sql("db1", 'UPDATE agg.hourly SET total = 99 WHERE "Bucket" = (SELECT max("Bucket") - interval \'2 hours\' FROM agg.hourly)')  # fmt: skip
        bad = judge(read(cluster, expected), expected)
    assert good.verdict is Verdict.PASS, good.reason
    assert bad.verdict is Verdict.FAIL, bad.reason


HOUR = "date_trunc('hour', now())"


@pytest.mark.parametrize(
    ("bucket", "kept", "verdict", "words"),
    [
        ("now() + interval '3 days'", None, Verdict.FAIL, "1 rows of agg.hourly are of buckets in the future"),
        ("now() + interval '2 hours'", None, Verdict.FAIL, "in the future"),
        (f"{HOUR} - interval '900 days'", None, Verdict.INCONCLUSIVE, "write it as `raw_kept`"),
        (f"{HOUR} - interval '900 days'", "60d", Verdict.PASS, "1 rows are of buckets older than every raw row"),
        (f"{HOUR} - interval '61 days'", "60d", Verdict.PASS, "1 rows are of buckets older than every raw row"),
        (f"{HOUR} - interval '59 days'", "60d", Verdict.FAIL, "but raw rows are kept for 60 d"),
        (f"{HOUR} - interval '900 days'", "3650d", Verdict.FAIL, "they were removed too early, or nothing was aggregated"),
        (HOUR, None, Verdict.PASS, "not compared: 1 rows of agg.hourly from"),
        (f"{HOUR} - interval '2 hours'", None, Verdict.FAIL, "1 extra"),
    ],
)  # fmt: skip
def test_buckets_without_a_source(
    server: Scratch, tmp_path: Path, bucket: str, kept: str | None, verdict: Verdict, words: str
) -> None:
    """In the future nothing can have been aggregated; older ones may outlive their raw rows, where these are removed."""
    server.sql(
        "db1",
        f"""
        DROP SCHEMA IF EXISTS agg CASCADE; CREATE SCHEMA agg; SET timezone = 'UTC';
        CREATE TABLE agg.raw ("when" timestamptz);
        INSERT INTO agg.raw SELECT date_trunc('hour', now()) - g * interval '20 min' FROM generate_series(1, 900) g;
        CREATE TABLE agg.hourly AS SELECT date_trunc('hour', "when") AS bucket, count(*) AS total FROM agg.raw GROUP BY 1;
        INSERT INTO agg.hourly VALUES ({bucket}, 7);
        GRANT USAGE ON SCHEMA agg TO gate; GRANT SELECT ON ALL TABLES IN SCHEMA agg TO gate;
    """,
    )
    (tmp_path / "crontab").write_text("* * * * * refresh\n")
    expected = Aggregate.model_validate({
        "relation": "agg.hourly", "bucket": "bucket", "width": "1h", "key": [], "source": "agg.raw", "time_column": "when",
        "recompute": "SELECT date_trunc('hour', \"when\") AS bucket, count(*) AS total FROM agg.raw"
                     ' WHERE "when" >= %(start)s AND "when" < %(end)s GROUP BY 1',
        "schedule": {"crontab": str(tmp_path / "crontab"), "command": "refresh"}, "max_buckets": 50000, "max_age": "2h", "raw_kept": kept,
    })  # fmt: skip
    with closing(Cluster(server.database())) as cluster:
        found = judge(read(cluster, expected), expected)
    assert found.verdict is verdict, found.reason
    assert words in found.reason + " ".join(found.notes)
