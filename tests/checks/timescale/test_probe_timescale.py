"""TimescaleDB with the real extension (2.23 in PGlite, which has no workers): catalog, policies, aggregates recomputed.

Tests with `recorded` in their name read rows in the form that TimescaleDB's own view definitions give.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from pytest_deploygate.checks.privacy.probe.operations import new_subject
from pytest_deploygate.checks.privacy.probe.sweep import sweep
from pytest_deploygate.checks.privacy.section import Erasure
from pytest_deploygate.checks.timescale import facts as timescale_facts
from pytest_deploygate.checks.timescale.facts import AggregateFacts, Settings
from pytest_deploygate.checks.timescale.judge import aggregates as timescale_aggregates
from pytest_deploygate.checks.timescale.judge import extension as judge_timescale
from pytest_deploygate.checks.timescale.judge import hypertables as timescale_hypertables
from pytest_deploygate.checks.timescale.judge import policies as timescale_policies
from pytest_deploygate.checks.timescale.probe import aggregates as probe_aggregates
from pytest_deploygate.checks.timescale.probe import extension as probe
from pytest_deploygate.checks.timescale.section import ContinuousAggregate, Hypertable, Timescale
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.lab.services.timescale import CACHE
from pytest_deploygate.model import CannotTell, Judgement
from pytest_deploygate.redaction import Secret

LAB = Path(__file__).parents[3] / "pytest_deploygate" / "lab" / "timescale"
READINGS, HOURLY = "telemetry.readings", "telemetry.readings_hourly"
SAID = {
    "name": "template1", "user": "gate", "sslmode": "disable", "version": "2.23", "host": "127.0.0.1",
    "hypertables": [{"table": READINGS, "column": "recorded_at", "chunk_interval": "1d"}],
    "retention": [{"table": READINGS, "drop_after": "14d"}],
    "columnstore": [{"table": READINGS, "after": "7d", "segmentby": ["sensor_id"], "orderby": ["recorded_at DESC"]}],
    "aggregates": [{"view": HOURLY, "bucket": "bucket", "width": "1h", "key": ["sensor_id"]}],
}  # fmt: skip


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A TimescaleDB of our own with the lab's telemetry in it."""
    node = shutil.which("node")
    if node is None or not (CACHE / "template.tar").is_file():
        pytest.skip("no TimescaleDB here: it needs Node.js and npm, then bin/setup installs PGlite")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    server = subprocess.Popen(
        [node, LAB / "server.mjs", CACHE / "node_modules", CACHE / "template.tar", str(number)]
    )
    try:
        seed(number, server)
        yield number
    finally:
        server.kill()
        server.wait()


def connect(port: int) -> psycopg.Connection:
    return psycopg.connect(
        f"host=127.0.0.1 port={port} user=gate password=x dbname=template1 sslmode=disable", autocommit=True
    )


def seed(port: int, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 90
    while server.poll() is None and time.monotonic() < deadline:
        try:
            return sql(port, *(LAB / "seed.sql").read_text().split(";\n"))
        except psycopg.OperationalError:
            time.sleep(0.2)
    pytest.fail("PGlite did not start")


def sql(port: int, *statements: str) -> None:
    with connect(port) as connection:
        for statement in statements:
            if statement.strip():
                connection.execute(statement)


@pytest.fixture
def section(port) -> Timescale:
    any_password = Secret("pglite takes any", "env:ANY")
    return Timescale.model_validate(
        {**SAID, "port": port, "password": any_password, "scheduler": {"crontab": "/x", "command": "jobs"}}
    )


@pytest.fixture
def cluster(section) -> Iterator[Cluster]:
    opened = Cluster(section.server(None))
    yield opened
    opened.close()


def table(cluster) -> timescale_facts.Hypertable:
    return probe.hypertable(cluster, READINGS, [READINGS, HOURLY], outside=True)


def aggregate(cluster, section) -> AggregateFacts:
    return probe_aggregates.read(cluster, section.aggregates[0], [READINGS, HOURLY], outside=True)


def test_the_catalog(cluster, section):
    """Dimension, chunks, settings and policies as created; a query over a day reads one chunk."""
    found = table(cluster)
    assert [(d.column, d.kind, d.interval.days) for d in found.dimensions] == [("recorded_at", "Time", 1)]
    assert len(found.chunks) in (12, 13)
    assert {c.compressed for c in found.chunks} == {True, False}
    assert found.settings == Settings(("sensor_id",), ("recorded_at DESC",))
    assert sorted(job.proc for job in found.jobs) == ["policy_compression", "policy_retention"]
    assert found.scanned == 1
    assert timescale_hypertables.judge_hypertable(found, section.hypertables[0]).verdict == "pass"
    assert timescale_policies.judge_retention(found, section.retention[0]).verdict == "pass"
    assert timescale_policies.judge_columnstore(found, section.columnstore[0]).verdict == "pass"


def test_extension_and_version(cluster, section):
    """The extension's version and licence are read; another version than expected is a failure."""
    found = probe.extension(cluster, [READINGS], {}, None)
    assert (found.license, found.library) == ("timescale", found.versions["template1"])
    other = section.model_copy(update={"version": "2.28"})
    judged = judge_timescale.judge_extension(found, judge_timescale.expected(other))
    assert judged.verdict == "fail"
    assert "expected 2.28" in judged.reason


def test_a_person_left_in_a_continuous_aggregate_is_found(cluster, port):
    """Erased from the raw rows, the person stays in the aggregate's buckets, which are searched without being named."""
    person = new_subject("0123456789abcdef")
    sql(port, "CREATE SCHEMA IF NOT EXISTS door", "CREATE TABLE door.visits (at timestamptz NOT NULL, who text)",
        "SELECT create_hypertable('door.visits', 'at')",
        f"INSERT INTO door.visits SELECT now() - n * interval '1 day', '{person.email}' FROM generate_series(1, 20) n",
        "CREATE MATERIALIZED VIEW door.daily WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS"
        " SELECT time_bucket('1 day', at) AS day, who, count(*) AS n FROM door.visits GROUP BY 1, 2 WITH NO DATA",
        "CALL refresh_continuous_aggregate('door.daily', NULL, NULL)")  # fmt: skip
    erasure = Erasure.model_validate(
        {"role": {"user": "gate"}, "create": [{"sql": "SELECT 1"}], "erase": [{"sql": "SELECT 1"}],
         "expected": ["door.visits.who"], "backups": [{"name": "none", "keep": "1d"}]}
    )  # fmt: skip
    try:
        before = {hit.place: hit.rows for hit in sweep(cluster, erasure, person).hits}
        sql(port, f"DELETE FROM door.visits WHERE who = '{person.email}'")
        after = {hit.place: hit.rows for hit in sweep(cluster, erasure, person).hits}
    finally:
        sql(port, "DROP SCHEMA door CASCADE")
    assert before["door.visits.who"] == before["door.daily.who"] == 20
    assert "door.visits.who" not in after
    assert after["door.daily.who"] == 20


def test_clients_side_by_side_get_their_own_answers(port):
    """PGlite is one session for all clients; two workers of a run must not interfere with each other's queries."""

    def asks(client: int) -> list[int]:
        got = []
        with connect(port) as connection:
            for n in range(60):
                with connection.transaction(force_rollback=True):
                    got.append(connection.execute("SELECT %s::int", (client * 1000 + n,)).fetchone()[0])
                got.append(connection.execute("SELECT %s::int", (client * 1000 + n,)).fetchone()[0])
        return got

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(asks, range(4)))
    assert found == [[client * 1000 + n for n in range(60) for _ in (1, 2)] for client in range(4)]


def test_missing_workers_are_seen(cluster, section):
    """PGlite has no background workers: without an outside scheduler nothing runs the jobs."""
    alone = section.model_copy(update={"scheduler": None})
    judged = judge_timescale.judge_extension(
        probe.extension(cluster, [READINGS], {}, None), judge_timescale.expected(alone)
    )
    assert judged.verdict == "fail"
    assert "no launcher and no scheduler" in judged.reason


def test_the_aggregate_is_recomputed(cluster, section):
    """Every materialised bucket equals the view's own query over the raw rows."""
    found = aggregate(cluster, section)
    assert sum(c.rows for c in found.comparisons) > 3000
    assert found.out_of_reach == ()
    assert timescale_aggregates.judge_aggregate(found, section.aggregates[0]).verdict == "pass"


def test_a_wrong_bucket(port, cluster, section):
    """One changed value of about 10,000 is found and named."""
    stored = "(SELECT format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name)"
    with connect(port) as connection:
        name = connection.execute(
            stored.replace("%%", "%")[1:] + " FROM timescaledb_information.continuous_aggregates"
        ).fetchone()[0]
    change = f"UPDATE {name} SET n = n + %s WHERE sensor_id = 3 AND bucket = date_trunc('hour', now()) - interval '4 days'"
    sql(port, change % 1)
    try:
        judged = timescale_aggregates.judge_aggregate(aggregate(cluster, section), section.aggregates[0])
    finally:
        sql(port, change % -1)
    assert judged.verdict == "fail"
    assert "1 different" in judged.reason
    assert "sensor_id=3 has n 5 instead of 4" in judged.reason


@pytest.mark.parametrize("name", ["s", "f", "e", "t", "n", "key", "Sensor id", "per%cent"])
def test_a_key_column_of_any_name(port, cluster, name):
    """Equal in the real extension's own words, and one bucket that differs is found."""
    quoted = f'"{name}"'
    made = f"""
        CREATE SCHEMA odd;
        CREATE TABLE odd.raw (at timestamptz NOT NULL, {quoted} int NOT NULL, v int NOT NULL);
        SELECT create_hypertable('odd.raw', 'at', chunk_time_interval => interval '1 day');
        INSERT INTO odd.raw SELECT date_trunc('hour', now()) - g * interval '20 minutes', g % 3, g FROM generate_series(1, 300) g;
        CREATE MATERIALIZED VIEW odd.hourly WITH (timescaledb.continuous) AS
            SELECT time_bucket('1 hour', at) AS b, {quoted}, count(*) AS total, sum(v) AS f2 FROM odd.raw GROUP BY 1, 2 WITH NO DATA;
        CALL refresh_continuous_aggregate('odd.hourly', NULL, NULL);
        SELECT add_continuous_aggregate_policy('odd.hourly', start_offset => interval '3 days', end_offset => interval '1 hour',
            schedule_interval => interval '10 minutes')"""
    expected = ContinuousAggregate.model_validate(
        {"view": "odd.hourly", "bucket": "b", "width": "1h", "key": [quoted], "max_buckets": 5000}
    )

    def verdict() -> Judgement:
        found = probe_aggregates.read(cluster, expected, ["odd.raw", "odd.hourly"], outside=True)
        return timescale_aggregates.judge_aggregate(found, expected)

    try:
        sql(port, *made.split(";\n"))
        good = verdict()
        with connect(port) as connection:
            stored = connection.execute(
                "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)"
                " FROM timescaledb_information.continuous_aggregates WHERE view_name = 'hourly'"
            ).fetchone()[0]
        sql(
            port,
            f"UPDATE {stored} SET total = total + 7 WHERE b = (SELECT min(b) + interval '5 hours' FROM {stored})",
        )
        bad = verdict()
    finally:
        sql(port, "DROP SCHEMA odd CASCADE")
    assert good.verdict == "pass", good.reason
    assert bad.verdict == "fail", bad.reason
    assert "different" in bad.reason


def test_changes_that_the_next_refresh_takes_in_are_left_out(port, cluster, section):
    """Rows of yesterday are in the policy's window: no failure; rows of five days ago are not: a failure."""
    late = "INSERT INTO telemetry.readings SELECT date_trunc('hour', now()) - interval '{}', 3, 1000"
    gone = "DELETE FROM telemetry.readings WHERE value = 1000"
    refresh = f"CALL refresh_continuous_aggregate('{HOURLY}', NULL, now() - interval '1 hour')"
    try:
        sql(port, late.format("1 day"))
        soon = aggregate(cluster, section)
        judged = timescale_aggregates.judge_aggregate(soon, section.aggregates[0])
        assert judged.verdict == "pass", judged.reason
        assert any("wait for the next refresh" in note for note in judged.notes)
        sql(port, late.format("5 days"))
        judged = timescale_aggregates.judge_aggregate(aggregate(cluster, section), section.aggregates[0])
        assert judged.verdict == "fail"
        assert "looks back only 3 d" in judged.reason
    finally:
        sql(port, gone, refresh)
    assert (
        timescale_aggregates.judge_aggregate(aggregate(cluster, section), section.aggregates[0]).verdict
        == "pass"
    )


def test_an_ordinary_table_and_a_missing_one(port, cluster):
    """Neither is mistaken for a hypertable without chunks."""
    sql(port, "CREATE TABLE telemetry.plain (at timestamptz)")
    wanted = {"column": "at", "chunk_interval": "1d"}
    for name, words in (("telemetry.plain", "not a hypertable"), ("telemetry.nothing", "does not exist")):
        found = probe.hypertable(cluster, name, ["telemetry.plain", "telemetry.nothing"])
        judged = timescale_hypertables.judge_hypertable(
            found, Hypertable.model_validate({"table": name, **wanted})
        )
        assert (judged.verdict, words in judged.reason) == ("fail", True)


def test_without_the_extension(nodes):
    """Without it, a table cannot be judged and the error names the next step; the missing version is a failure."""
    cluster = Cluster(nodes.database())
    with pytest.raises(CannotTell, match="CREATE EXTENSION timescaledb"):
        probe.hypertable(cluster, "public.t", ["public.t"])
    judged = judge_timescale.judge_extension(
        probe.extension(cluster, ["public.t"], {}, None),
        judge_timescale.expected(Timescale.model_validate({"version": "2.28"})),
    )
    cluster.close()
    assert judged.verdict == "fail"
    assert "has no timescaledb extension" in judged.reason


class Recorded:
    """Answers like a server, depending on the text of the query; with the views of TimescaleDB 2.11 or 2.13."""

    def __init__(self, views: set[str], settings: list[tuple]) -> None:
        self.views, self.settings, self.asked = views, settings, []

    def __call__(self, query, parameters=None):
        text = query if isinstance(query, str) else "EXPLAIN"
        self.asked.append(text)
        if "unnest" in text:
            return [(n,) for n in parameters["tables"] if n in self.views or n == "public.t"]
        if "_settings" in text:
            return self.settings
        if "extversion" in text:
            return [(None, "15.4", "2.11.2", "2.11.2", "timescale", "16", "8")]
        return [(True, [])] if "pg_stat_activity" in text else []


@pytest.mark.parametrize(
    ("views", "view"),
    [
        (set(), "FROM timescaledb_information.compression_settings"),
        ({"timescaledb_information.hypertable_compression_settings"}, "hypertable_compression_settings"),
        (
            {
                "timescaledb_information.hypertable_compression_settings",
                "timescaledb_information.hypertable_columnstore_settings",
            },
            "hypertable_columnstore_settings",
        ),
    ],
)
def test_recorded_settings_come_from_the_newest_view(views, view):
    """2.11 has a row for each column, later versions a row for each hypertable, the newest under another name."""
    ask = Recorded(views, [("public.t", "dev,site", "ts DESC,id")])
    found = probe.read(ask, ["public.t"])
    assert found.settings == {"public.t": Settings(("dev", "site"), ("ts DESC", "id"))}
    assert any(view in text for text in ask.asked)
