"""What pg_restore and subscriptions have still to do: a real `pg_restore -j`, a real subscription, and the judge."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from two_servers import Server

from pytest_deploygate.checks.migration import judge, probe
from pytest_deploygate.checks.migration.facts import Applied, Build, Filling, Progress, RestoreJob
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.model import Judgement, Verdict

NOW = datetime(2026, 6, 1, 18, tzinfo=UTC)
DONE = Progress(NOW, (0.0, 1.0, 2.0), (Filling("app.a", 1000, 1000),), (1000, 1000, 1000), (), ())
COPYING = RestoreJob(7, "COPY app.a (id) FROM stdin;", 90.0, "")


def with_(migration: Migration, **more: object) -> Migration:
    kept = migration.model_dump(exclude_unset=True, exclude={"source"}) | {"window": "200ms"} | more
    return Migration.model_validate(kept | {"source": migration.source})


def until(true: Callable[[], object]) -> None:
    """Wait for what a server will do; on a busy machine that may take long."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def said(target, migration) -> Callable[..., Judgement]:
    def judged(**more: object) -> Judgement:
        expected = with_(migration, **more)
        return judge.judge_progress(probe.progress(target, expected), expected)

    return judged


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not there: apt-get install postgresql-client"
    return found


@contextlib.contextmanager
def restoring(servers: tuple[Server, Server], dump: Path, *words: str) -> Iterator[subprocess.Popen]:
    """Dump the source, then restore into the target with two jobs."""
    source, target = servers
    at = [["-h", "127.0.0.1", "-p", str(s.port), "-U", "postgres"] for s in (source, target)]
    subprocess.run(
        [program("pg_dump"), *at[0], "-d", "plant", "-n", "app", "-Fd", "-f", str(dump)],
        check=True,
        timeout=60,
    )
    command = [program("pg_restore"), *at[1], "-d", "plant", "-j", "2", *words, str(dump)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.terminate()
            running.wait(60)
            target.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_restore'"
            )


def test_a_job_of_pg_restore_that_waits_for_a_lock(servers, said, tmp_path):
    servers[0].sql("ANALYZE")
    servers[1].sql("TRUNCATE app.sales")
    waits = (
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pg_restore' AND wait_event_type = 'Lock'"
    )
    where = f"host=127.0.0.1 port={servers[1].port} user=postgres dbname=plant application_name=reporting"
    with psycopg.connect(where) as holder:
        holder.execute("LOCK TABLE app.sales IN SHARE MODE")
        with restoring(servers, tmp_path / "dump", "--data-only", "-t", "sales") as running:
            until(lambda: servers[1].sql(waits))
            found = said()
            assert found.verdict is Verdict.FAIL
            assert "waits for a lock of process" in found.reason
            assert "(reporting) since" in found.reason
            assert "end what holds it" in found.reason
            holder.rollback()
            assert running.wait(60) == 0
    servers[1].sql("ANALYZE")
    assert said().verdict is Verdict.PASS


def test_an_index_that_pg_restore_builds(servers, said, tmp_path):
    """All rows are there, and the restore is not over."""
    slow = (
        "CREATE FUNCTION app.slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "$$BEGIN IF current_setting('application_name') = 'pg_restore' THEN PERFORM pg_sleep(0.3); END IF; RETURN $1; END$$"
    )
    servers[0].sql(f"{slow}; CREATE INDEX by_slow ON app.sales (app.slow(id)); ANALYZE")
    servers[1].sql(f"{slow}; ANALYZE")
    builds = "SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'building index%'"
    try:
        with restoring(servers, tmp_path / "dump", "--section=post-data", "-I", "by_slow"):
            until(lambda: servers[1].sql(builds))
            found = said(finish_by="2200-01-01T00:00:00Z")
            late = said(finish_by="2020-01-01T00:00:00Z")
    finally:
        servers[0].sql("DROP FUNCTION app.slow CASCADE")
        servers[1].sql("DROP FUNCTION app.slow CASCADE")
    assert (found.verdict, late.verdict) == (Verdict.INCONCLUSIVE, Verdict.FAIL)
    assert "the restore is not over" in found.reason
    assert "is being built (building index: scanning table" in found.reason
    assert "it should have ended: move the window" in late.reason


def test_a_real_subscription(servers, said):
    source, target = servers
    source.sql("CREATE PUBLICATION moved FOR TABLE app.sales")
    target.sql("TRUNCATE app.sales")
    target.sql(
        f"CREATE SUBSCRIPTION moving CONNECTION 'host=127.0.0.1 port={source.port} user=postgres dbname=plant' PUBLICATION moved"
    )
    try:
        until(lambda: target.sql("SELECT 1 FROM pg_subscription_rel WHERE srsubstate = 'r'"))
        until(lambda: target.sql("SELECT count(*) FROM app.sales") == [(400,)])
        for server in servers:
            server.sql("ANALYZE")
        until(lambda: said().verdict is Verdict.PASS)
        where = f"host=127.0.0.1 port={target.port} user=postgres dbname=plant"
        with psycopg.connect(where) as holder:
            holder.execute("LOCK TABLE app.sales IN SHARE MODE")
            source.sql("UPDATE app.sales SET pieces = pieces")
            found = said(live={"max_lag": "1kB"})
            holder.rollback()
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "subscription moving has yet to confirm" in found.reason
        target.sql("ALTER SUBSCRIPTION moving DISABLE")
        until(lambda: not target.sql("SELECT 1 FROM pg_stat_subscription WHERE pid IS NOT NULL"))
        assert "subscription moving is disabled" in said().reason
    finally:
        target.sql("ALTER SUBSCRIPTION moving DISABLE")
        target.sql("DROP SUBSCRIPTION moving")
        source.sql("DROP PUBLICATION moved")


@pytest.mark.parametrize(
    ("change", "finish", "verdict", "words"),
    [
        ({"jobs": (COPYING,)}, 60, Verdict.INCONCLUSIVE, "the restore is not over: 'COPY app.a (id) FROM stdin;' since 90 s"),
        ({"jobs": (COPYING,)}, -60, Verdict.FAIL, "it should have ended"),
        ({"jobs": (replace(COPYING, blocked_by="process 9 (reporting)"),)}, 60, Verdict.FAIL,
         "pg_restore (process 7) waits for a lock of process 9 (reporting) since 90 s"),
        ({"builds": (Build("app.a_pkey", 7, "scanning table", (0.2, 0.3, 0.4)),)}, 60, Verdict.INCONCLUSIVE,
         "app.a_pkey is being built (scanning table, 40%, about 6 s more in this phase)"),
        ({"builds": (Build("app.a_pkey", 7, "sorting", (None,)),)}, 60, Verdict.INCONCLUSIVE, "(sorting)"),
        ({"not_ready": (("app.a", "d"),)}, 60, Verdict.INCONCLUSIVE, "1 tables of subscriptions are not in sync: app.a is being copied"),
        ({"not_ready": (("app.a", "d"),)}, -60, Verdict.FAIL, "past 2026-06-01 17:59 UTC"),
        ({"applied": (Applied("s", "s", True, True, (0, 0, 0)),)}, 60, Verdict.PASS, "are filled"),
        ({"applied": (Applied("s", "s", True, True, ()),)}, 60, Verdict.PASS, "are filled"),
        ({"applied": (Applied("s", "s", True, False, ()),)}, 60, Verdict.FAIL, "has no process that receives changes"),
        ({"applied": (Applied("s", "s", True, True, (96 << 20, 86 << 20, 76 << 20)),)}, 60, Verdict.INCONCLUSIVE, "for 6 s to 6 s more"),
        ({"applied": (Applied("s", "s", True, True, (96 << 20, 86 << 20, 76 << 20)),)}, 3, Verdict.FAIL, "for 6 s more, past"),
        ({"applied": (Applied("s", "s", True, True, (76 << 20, 86 << 20, 96 << 20)),)}, 60, Verdict.INCONCLUSIVE, "does not catch up"),
        ({"applied": (Applied("s", "s", True, True, (96 << 20, 96 << 20, 90 << 20)),)}, 60, Verdict.INCONCLUSIVE, "in bursts"),
    ],
)  # fmt: skip
def test_what_is_left_to_do(migration, change, finish, verdict, words):
    expected = with_(migration, finish_by=NOW + timedelta(seconds=finish))
    said = judge.judge_progress(replace(DONE, **change), expected)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason
