"""Writes after the freeze, slots, rates, and copies that stand still: on two real servers, and judged."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pytest_deploygate.checks.migration import judge, probe
from pytest_deploygate.checks.migration.facts import Copy, Filling, Progress, Slot, Started
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.model import Judgement, Verdict

NOW = datetime(2026, 6, 1, 18, tzinfo=UTC)
REST = Started(3.0, True, (), (), None, None, 4, (), 10**9, 10**8, 5)
MOVING = Progress(NOW, (0.0, 1.0, 2.0), (Filling("app.a", 1000, 400),), (400, 440, 490), (), ())


def with_(migration: Migration, **more: object) -> Migration:
    kept = migration.model_dump(exclude_unset=True, exclude={"source"}) | {"window": "1500ms"} | more
    return Migration.model_validate(kept | {"source": migration.source})


@contextlib.contextmanager
def writing(server) -> Iterator[None]:
    """A client updates a row ten times a second."""
    ended = threading.Event()

    def write() -> None:
        where = f"host=127.0.0.1 port={server.port} user=postgres dbname=plant"
        with psycopg.connect(where, autocommit=True) as connection:
            while not ended.wait(0.1):
                connection.execute("UPDATE app.sales SET shop = shop WHERE id = 1")

    client = threading.Thread(target=write)
    client.start()
    try:
        time.sleep(1.0)
        yield
    finally:
        ended.set()
        client.join()


@pytest.mark.long
def test_writes_and_open_transactions_on_a_frozen_source(servers, target, migration):
    frozen = with_(migration, frozen_at=NOW)

    def said() -> Judgement:
        return judge.judge_start(probe.started(target, frozen), frozen)

    at_rest = said()
    assert (at_rest.verdict, "nothing keeps clients" in at_rest.notes[0]) == (Verdict.PASS, True)
    with writing(servers[0]):
        assert "the source is still written to" in said().reason
        assert "in app.sales (" in said().reason
    where = f"host=127.0.0.1 port={servers[0].port} user=postgres dbname=plant application_name=late"
    with psycopg.connect(where) as connection:
        connection.execute("UPDATE app.sales SET shop = shop WHERE id = 1")
        assert "of postgres (late); end them" in said().reason
        connection.rollback()


def test_a_slot_of_a_live_source(servers, target, migration):
    live = with_(migration, live={"slot": "to_new", "delay": "1s"})
    assert "no replication slot to_new" in judge.judge_start(probe.started(target, live), live).reason
    servers[0].sql("SELECT pg_create_physical_replication_slot('to_new', true)")
    try:
        said = judge.judge_start(probe.started(target, live), live)
    finally:
        servers[0].sql("SELECT pg_drop_replication_slot('to_new')")
    assert "slot to_new is not used" in said.reason


@pytest.mark.parametrize(
    ("change", "more", "verdict", "words"),
    [
        ({}, {}, Verdict.PASS, "at rest, and the target has all 4 tables"),
        ({}, {"frozen_at": None}, Verdict.INCONCLUSIVE, "write `frozen_at`, or `live"),
        ({"last_commit": NOW + timedelta(minutes=1)}, {}, Verdict.FAIL, "last commit on the source was at 2026-06-01 18:01:00 UTC"),
        ({"not_there": (("a.b", "c.b"),)}, {}, Verdict.FAIL, "1 tables are not on the target: a.b (as c.b)"),
        ({}, {"room": "100MB"}, Verdict.FAIL, "858 MB are still to be moved, and the target has room for 100 MB"),
        ({"tables": 0}, {}, Verdict.INCONCLUSIVE, "no table of the source is named"),
        ({"slot": Slot("s", True, False, 10)}, {"frozen_at": None, "live": {"slot": "s"}}, Verdict.PASS, "captured"),
        ({"slot": Slot("s", True, True, 10)}, {"frozen_at": None, "live": {"slot": "s"}}, Verdict.FAIL, "has lost changes"),
        ({"slot": Slot("s", True, False, 10**9)}, {"frozen_at": None, "live": {"slot": "s"}}, Verdict.FAIL, "has not confirmed"),
        ({}, {"frozen_at": None, "live": {}}, Verdict.INCONCLUSIVE, "which replication slot"),
    ],
)  # fmt: skip
def test_starts(migration, change, more, verdict, words):
    expected = with_(migration, **({"frozen_at": NOW} | more))
    said = judge.judge_start(replace(REST, **change), expected)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason


def test_progress_of_real_servers(servers, target, migration):
    expected = with_(migration)
    for server in servers:
        server.sql("ANALYZE")
    said = judge.judge_progress(probe.progress(target, expected), expected)
    assert said.verdict is Verdict.PASS
    servers[1].sql("DELETE FROM app.sales WHERE id > 100; ANALYZE app.sales")
    said = judge.judge_progress(probe.progress(target, expected), expected)
    assert "about 300 rows are not on the target, and none arrived" in said.reason


def test_a_copy_that_stands_still(servers, target, migration):
    """Its sender has opened the stream and sends nothing."""
    where = f"host=127.0.0.1 port={servers[1].port} user=postgres dbname=plant"
    with (
        psycopg.connect(where) as connection,
        connection.cursor() as cursor,
        contextlib.suppress(psycopg.Error),
        cursor.copy("COPY app.sales FROM STDIN") as copy,
    ):
        copy.write(b"1000\t2026-01-01Z\tx\t1\t1\t1\n")
        said = judge.judge_progress(probe.progress(target, with_(migration)), with_(migration))
        raise psycopg.DataError("no more")
    assert said.verdict is Verdict.FAIL
    assert "COPY into app.sales (process" in said.reason


@pytest.mark.parametrize(
    ("change", "finish", "verdict", "words"),
    [
        ({}, 60, Verdict.PASS, "400 of 1000 rows are on the target, and the rest will be in time"),
        ({}, 13, Verdict.INCONCLUSIVE, "take 12 s to 15 s more, perhaps past"),
        ({}, 5, Verdict.FAIL, "take 12 s to 15 s more, past"),
        ({}, None, Verdict.INCONCLUSIVE, "for 12 s to 15 s: run again"),
        ({"rows_in": (400, 400, 400)}, 60, Verdict.FAIL, "none arrived within 2 s"),
        ({"rows_in": (400, 400, 450)}, 60, Verdict.INCONCLUSIVE, "arrive in bursts"),
        ({"tables": ()}, 60, Verdict.INCONCLUSIVE, "run ANALYZE"),
        ({"rows_in": (0, 0, 0), "copies": (Copy("app.a", 7, (10, 50, 100), (1, 5, 10), 0),)}, 60, Verdict.PASS, "will be in time"),
        ({"copies": (Copy("app.a", 7, (10, 10, 10), (1, 1, 1), 0),)}, 60, Verdict.FAIL, "COPY into app.a (process 7) stands at 10 rows"),
    ],
)  # fmt: skip
def test_rates(migration, change, finish, verdict, words):
    expected = with_(migration, **({"finish_by": NOW + timedelta(seconds=finish)} if finish else {}))
    said = judge.judge_progress(replace(MOVING, **change), expected)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason
