"""Slow statements as a real pg_stat_statements counts them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from places import server_folder
from scratch_cluster import Scratch

from pytest_deploygate.checks.postgres.judge.statements import judge_monitoring, judge_slow
from pytest_deploygate.checks.postgres.probe.statements import counted_statements, monitoring
from pytest_deploygate.checks.postgres.section.statements import Monitoring, Statements
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgss-"))
    try:
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create("shared_preload_libraries = 'pg_stat_statements'", "log_min_duration_statement = 500")
        made.sql("db1", "CREATE EXTENSION pg_stat_statements; CREATE ROLE app LOGIN")
        yield made
    finally:
        made.destroy()


def judged(server: Scratch, slow: int, calls: int = 200, **bounds: object) -> Judgement:
    """Let the application call one statement so often, some of them slowly, and judge it."""
    server.sql("db1", "SELECT pg_stat_statements_reset()")
    with psycopg.connect(
        host="127.0.0.1", port=server.ports["db1"], user="app", dbname="postgres", autocommit=True
    ) as app:
        for number in range(calls):
            app.execute("SELECT pg_sleep(%s)", (0.2 if number < slow else 0.0,))
    wanted = Statements.model_validate(
        {"max_mean": "100ms", "max_p99": "100ms", "min_calls": 100, "min_since": "0s", **bounds}
    )
    with closing(Cluster(server.database(replicas=None))) as cluster:
        return judge_slow(counted_statements(cluster, wanted), wanted)


@pytest.mark.parametrize(
    ("slow", "calls", "verdict"),
    [
        (0, 200, Verdict.PASS),
        (1, 200, Verdict.PASS),  # the slowest call may be slow
        (3, 200, Verdict.INCONCLUSIVE),  # the real p99 is 200 ms; the mean is 3 ms
        (60, 100, Verdict.FAIL),
    ],
)
def test_a_few_slow_calls_are_no_pass(server: Scratch, slow: int, calls: int, verdict: Verdict) -> None:
    found = judged(server, slow, calls)
    assert found.verdict in ({verdict, Verdict.FAIL} if verdict is Verdict.INCONCLUSIVE else {verdict})
    if slow == 3:
        assert "SELECT pg_sleep" in found.reason
        assert "200 calls" in found.reason


def test_statistics_that_were_reset_just_now(server: Scratch) -> None:
    assert "they were reset at" in " ".join(judged(server, 0).notes)
    found = judged(server, 0, min_since="1h")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "1 h are needed: run again later" in found.reason or "60 min" in found.reason


@pytest.mark.parametrize(
    "setting",
    [
        "pg_stat_statements.track = 'none'",
        "log_min_duration_statement = -1",
        "log_min_messages = 'fatal'",
        "auto_explain.log_min_duration = -1",
    ],
)
@pytest.mark.parametrize("whose", ["ROLE app", "ROLE app IN DATABASE postgres", "DATABASE postgres"])
def test_what_a_role_has_of_its_own_is_said(server: Scratch, setting: str, whose: str) -> None:
    server.sql("db1", f"ALTER {whose} SET {setting}")
    try:
        with closing(Cluster(server.database(replicas=None))) as cluster:
            found = judge_monitoring(monitoring(cluster), Monitoring())
    finally:
        server.sql("db1", "ALTER ROLE app RESET ALL; ALTER ROLE app IN DATABASE postgres RESET ALL")
        server.sql("db1", "ALTER DATABASE postgres RESET ALL")
    said = found.reason + " ".join(found.notes)
    if found.verdict is Verdict.PASS:
        assert "has its own " + setting.replace(" = ", "=").replace("'", "") in said, said
    else:
        assert "ALTER DATABASE postgres RESET pg_stat_statements.track" in said or "not logged" in said


def test_a_role_without_settings_is_not_said(server: Scratch) -> None:
    server.sql("db1", "ALTER ROLE app SET work_mem = '5MB'")
    try:
        with closing(Cluster(server.database(replicas=None))) as cluster:
            found = judge_monitoring(monitoring(cluster), Monitoring())
    finally:
        server.sql("db1", "ALTER ROLE app RESET ALL")
    assert (found.verdict, found.notes) == (Verdict.PASS, ())
