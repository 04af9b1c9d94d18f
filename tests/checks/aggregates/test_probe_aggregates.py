"""Aggregates on a real server: one wrong bucket among thousands is found, whatever is wrong with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pytest_deploygate.checks.aggregates.judge import judge
from pytest_deploygate.checks.aggregates.probe.aggregates import read
from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Verdict

HOURS, SENSORS = 720, 4
RECOMPUTE = (
    "SELECT sensor_id, date_trunc('hour', at) AS bucket, count(*) AS n, avg(value) AS mean FROM agg.raw"
    " WHERE at >= %(start)s AND at < %(end)s GROUP BY 1, 2"
)
SETUP = f"""
DROP SCHEMA IF EXISTS agg CASCADE; CREATE SCHEMA agg; SET timezone = 'UTC';
CREATE TABLE agg.raw (sensor_id int, at timestamptz, value float8);
CREATE TABLE agg.hourly (sensor_id int, bucket timestamptz, n bigint, mean float8);
CREATE TABLE agg.refreshed (at timestamptz);
INSERT INTO agg.raw SELECT s, date_trunc('hour', now()) - h * interval '1 hour' + m * interval '20 minutes', h + s + m / 3.0
  FROM generate_series(1, {HOURS}) h, generate_series(1, {SENSORS}) s, generate_series(0, 2) m;
INSERT INTO agg.hourly SELECT sensor_id, date_trunc('hour', at), count(*), avg(value) FROM agg.raw GROUP BY 1, 2;
INSERT INTO agg.refreshed VALUES (now());
CREATE INDEX ON agg.raw (at);
GRANT USAGE ON SCHEMA agg TO gate; GRANT SELECT ON ALL TABLES IN SCHEMA agg TO gate;
"""
ONE = "WHERE sensor_id = 2 AND bucket = (SELECT max(bucket) - interval '300 hours' FROM agg.hourly)"


@pytest.fixture
def filled(nodes) -> Iterator:
    nodes.sql("db1", SETUP)
    yield lambda text: nodes.sql("db1", text)
    nodes.sql("db1", "DROP SCHEMA IF EXISTS agg CASCADE")


@pytest.fixture
def aggregate(tmp_path):
    tab = tmp_path / "crontab"
    tab.write_text("* * * * * refresh-hourly\n")

    def make(**more) -> Aggregate:
        return Aggregate.model_validate(
            {
                "relation": "agg.hourly", "bucket": "bucket", "width": "1h", "key": ["sensor_id"], "recompute": RECOMPUTE,
                "source": "agg.raw", "time_column": "at", "refreshed": "SELECT at FROM agg.refreshed",
                "schedule": {"crontab": str(tab), "command": "refresh-hourly"}, "max_buckets": 5000, **more,
            }
        )  # fmt: skip

    return make


def judged(cluster: Cluster, expected: Aggregate):
    return judge(read(cluster, expected), expected)


def test_an_untouched_aggregate_passes(cluster, filled, aggregate):
    found = judged(cluster, aggregate())
    assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (f"UPDATE agg.hourly SET mean = mean * 1.000001 {ONE}", "1 different"),
        (f"UPDATE agg.hourly SET mean = NULL {ONE}", "1 different"),
        (f"UPDATE agg.hourly SET mean = 'NaN' {ONE}", "1 different"),
        (f"UPDATE agg.hourly SET mean = 'Infinity' {ONE}", "1 different"),
        (f"UPDATE agg.hourly SET n = n + 1 {ONE}", "1 different"),
        (f"DELETE FROM agg.hourly {ONE}", "1 missing"),
        (f"INSERT INTO agg.hourly SELECT 99, bucket, n, mean FROM agg.hourly {ONE}", "1 extra"),
        (f"INSERT INTO agg.hourly SELECT * FROM agg.hourly {ONE}", "1 extra"),
    ],
)
def test_one_wrong_bucket_is_found(cluster, filled, aggregate, change, words):
    filled(change)
    found = judged(cluster, aggregate())
    assert found.verdict is Verdict.FAIL, found.reason
    assert words in found.reason
    assert "sensor_id=" in found.reason


def test_floats_within_the_tolerance_and_null_keys_are_equal(cluster, filled, aggregate):
    filled(f"UPDATE agg.hourly SET mean = mean * (1 + 1e-12) {ONE}")
    filled(
        "UPDATE agg.raw SET sensor_id = NULL WHERE sensor_id = 3; UPDATE agg.hourly SET sensor_id = NULL WHERE sensor_id = 3"
    )
    found = judged(cluster, aggregate())
    assert found.verdict is Verdict.PASS, found.reason
    assert judged(cluster, aggregate(tolerance=0)).verdict is Verdict.FAIL


def test_stale_though_a_refresh_is_recorded(cluster, filled, aggregate):
    filled("DELETE FROM agg.hourly WHERE bucket >= now() - interval '10 hours'")
    found = judged(cluster, aggregate())
    assert found.verdict is Verdict.FAIL
    assert "past the newest bucket" in found.reason


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        (
            "UPDATE agg.refreshed SET at = now() - interval '5 hours'",
            Verdict.FAIL,
            "was 5 h ago",
        ),
        ("DELETE FROM agg.refreshed", Verdict.FAIL, "never refreshed"),
        ("UPDATE agg.refreshed SET at = now() + interval '1 day'", Verdict.INCONCLUSIVE, "in the future"),
        ("TRUNCATE agg.raw", Verdict.INCONCLUSIVE, "run again after phase 4"),
        ("DROP TABLE agg.hourly", Verdict.FAIL, "does not exist"),
    ],
)
def test_refresh_and_absence(cluster, filled, aggregate, change, verdict, words):
    filled(change)
    found = judged(cluster, aggregate())
    assert found.verdict is verdict, found.reason
    assert words in found.reason
    assert found.deferred_to == ("phase4" if "phase 4" in words else "")


def test_a_newest_bucket_that_was_stored_half_way_is_no_difference(cluster, filled, aggregate):
    """Without `refreshed` it is unknown whether the newest bucket was complete when it was stored."""
    filled("UPDATE agg.hourly SET n = 1 WHERE bucket = (SELECT max(bucket) FROM agg.hourly)")
    found = read(cluster, aggregate(refreshed=None)).comparison
    assert found is not None
    assert (found.missing, found.extra, found.different) == (0, 0, 0)


def test_rows_that_arrive_right_after_a_bucket_ended_are_no_difference(cluster, filled, aggregate):
    """A row of the last minute before the refresh may be committed after the refresh read."""
    filled(
        "UPDATE agg.refreshed SET at = date_trunc('hour', now()) + interval '1 second';"
        "INSERT INTO agg.raw VALUES (1, date_trunc('hour', now()) - interval '1 second', 5)"
    )
    found = read(cluster, aggregate()).comparison
    assert found is not None
    assert found.different == 0


def test_a_sample_says_so_is_repeatable_and_has_the_newest(cluster, filled, aggregate):
    first, again = (read(cluster, aggregate(max_buckets=100)).comparison for _ in range(2))
    assert first == again
    assert first is not None
    assert first.buckets < first.buckets_total
    found = judged(cluster, aggregate(max_buckets=100))
    assert found.verdict is Verdict.PASS
    assert f"{first.buckets} of {first.buckets_total} buckets" in found.reason
    filled(
        "UPDATE agg.hourly SET n = 1 WHERE bucket = (SELECT max(bucket) - interval '1 hour' FROM agg.hourly)"
    )
    assert judged(cluster, aggregate(max_buckets=100)).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"recompute": "SELECT sensor_id FROM agg.raw"}, "lacks bucket"),
        ({"recompute": "SELECT sensor_id, at AS bucket FROM agg.raw"}, "no column besides"),
        ({"recompute": "SELECT nothing FROM agg.raw"}, 'column "nothing" does not exist'),
        ({"refreshed": "SELECT 'yesterday'"}, "must return a timestamptz"),
    ],
)
def test_what_cannot_be_compared_is_said(cluster, filled, aggregate, more, words):
    with pytest.raises(CannotTell, match=words):
        read(cluster, aggregate(**more))


def test_without_a_schedule_it_says_what_to_add(cluster, filled, aggregate):
    found = judged(cluster, aggregate(schedule=None))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "schedule: {crontab" in found.reason


def test_ingest_and_refresh_at_the_same_time_give_no_alarm(nodes, cluster, filled, aggregate):
    stop = threading.Event()

    def busy() -> None:
        with psycopg.connect(
            host="127.0.0.1", port=nodes.ports["db1"], user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            while not stop.is_set():
                connection.execute("INSERT INTO agg.raw SELECT s, now(), 1 FROM generate_series(1, 4) s")
                with connection.transaction():
                    connection.execute("DELETE FROM agg.hourly WHERE bucket >= now() - interval '3 hours'")
                    connection.execute(
                        "INSERT INTO agg.hourly SELECT sensor_id, date_trunc('hour', at), count(*), avg(value)"
                        " FROM agg.raw WHERE at >= date_trunc('hour', now() - interval '3 hours')"
                        " AND date_trunc('hour', at) >= now() - interval '3 hours' GROUP BY 1, 2"
                    )
                    connection.execute("UPDATE agg.refreshed SET at = clock_timestamp()")

    worker = threading.Thread(target=busy)
    worker.start()
    try:
        found = [judged(cluster, aggregate()) for _ in range(15)]
    finally:
        stop.set()
        worker.join()
    assert {f.verdict for f in found} == {Verdict.PASS}, [f.reason for f in found]


def test_buckets_older_than_the_raw_rows_are_not_compared(cluster, filled, aggregate):
    filled("DELETE FROM agg.raw WHERE at < now() - interval '200 hours'")
    found = read(cluster, aggregate()).comparison
    assert found is not None
    assert (found.extra, found.different) == (0, 0)
    assert found.start >= datetime.now(UTC) - timedelta(hours=201)


def test_integers_are_compared_exactly(cluster, filled, aggregate):
    """One in ten billion is within a float's tolerance; counts have no tolerance."""
    filled("UPDATE agg.hourly SET n = n + 10000000000")
    many = RECOMPUTE.replace("count(*)", "10000000000 + count(*)")
    assert judged(cluster, aggregate(recompute=many)).verdict is Verdict.PASS
    filled(f"UPDATE agg.hourly SET n = n + 1 {ONE}")
    assert "1 different" in judged(cluster, aggregate(recompute=many)).reason


def test_one_reading_of_long_ago_does_not_thin_the_sample(cluster, filled, aggregate):
    """Years without rows take no share of the sample, so a missing bucket is found."""
    filled("INSERT INTO agg.raw VALUES (1, '2001-01-01 10:05+00', 5)")
    filled("INSERT INTO agg.hourly VALUES (1, '2001-01-01 10:00+00', 1, 5)")
    found = read(cluster, aggregate(max_buckets=1000)).comparison
    assert found is not None
    assert found.buckets == found.buckets_total
    assert (found.missing, found.extra, found.different) == (0, 0, 0)
    filled(f"DELETE FROM agg.hourly {ONE}")
    assert "1 missing" in judged(cluster, aggregate(max_buckets=1000)).reason


def test_a_bucket_of_tomorrow_does_not_hide_that_it_is_stale(cluster, filled, aggregate):
    filled("DELETE FROM agg.hourly WHERE bucket >= now() - interval '10 hours'")
    filled("INSERT INTO agg.hourly VALUES (1, now() + interval '1 day', 1, 5)")
    assert "past the newest bucket" in judged(cluster, aggregate()).reason


def test_a_comparison_that_takes_too_long_leaves_the_rest_known(nodes, filled, aggregate):
    filled("UPDATE agg.refreshed SET at = now() - interval '5 hours'")
    impatient = Cluster(nodes.database(statement_timeout="400ms"))
    slow = aggregate(recompute=RECOMPUTE.replace("WHERE", "WHERE (SELECT true FROM pg_sleep(2)) AND"))
    try:
        facts = read(impatient, slow)
    finally:
        impatient.close()
    assert "statement timeout" in facts.problem
    found = judge(facts, slow)
    assert found.verdict is Verdict.FAIL
    assert "was 5 h ago" in found.reason


def test_times_without_a_zone_are_refused_in_words(cluster, filled, aggregate):
    filled("ALTER TABLE agg.hourly ALTER bucket TYPE timestamp")
    with pytest.raises(CannotTell, match=r"agg.hourly.bucket must be a timestamptz"):
        read(cluster, aggregate())
