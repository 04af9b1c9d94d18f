"""Settings that a server needs to stay healthy, and those that our own connections hide by pinning them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from places import server_folder
from scratch_cluster import Scratch

from pytest_deploygate.checks.postgres.judge.after_load import judge_after_load
from pytest_deploygate.checks.postgres.judge.servers import judge_server
from pytest_deploygate.checks.postgres.probe.after_load import left_by_load
from pytest_deploygate.checks.postgres.probe.servers import server_state
from pytest_deploygate.checks.postgres.section.after_load import AfterLoad
from pytest_deploygate.checks.postgres.section.servers import ClusterSettings
from pytest_deploygate.checks.privacy.judge.retention import judge_retention
from pytest_deploygate.checks.privacy.probe.retention import retained_rows
from pytest_deploygate.checks.privacy.section import Retained
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgm-"))
    try:
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create("fsync = on", "max_connections = 60")
        yield made
    finally:
        made.destroy()


def judged(server: Scratch, **settings: object) -> Judgement:
    with closing(Cluster(server.database(replicas=None))) as cluster:
        state = server_state(cluster, cluster.primary)
        asked = {
            "version": state.version,
            "checksums": False,
            "memory": "8GB",
            "settings": settings,
            "max_connections": 60,
            "preload": [],
            "extensions": {},
            "login_rules": False,
        }
        wanted = {k: v for k, v in asked.items() if k in ClusterSettings.model_fields}
        return judge_server(state, ClusterSettings.model_validate(wanted))


@pytest.mark.parametrize(
    ("on", "off", "verdict", "words"),
    [
        ("SELECT 1", "SELECT 1", Verdict.PASS, ""),
        (
            "ALTER SYSTEM SET autovacuum = off",
            "ALTER SYSTEM RESET autovacuum",
            Verdict.FAIL,
            "autovacuum is off",
        ),
        (
            "ALTER SYSTEM SET track_counts = off",
            "ALTER SYSTEM RESET track_counts",
            Verdict.FAIL,
            "track_counts is off",
        ),
        (
            "ALTER ROLE ALL SET synchronous_commit = off",
            "ALTER ROLE ALL RESET ALL",
            Verdict.FAIL,
            "synchronous_commit is off",
        ),
        (
            "ALTER DATABASE postgres SET synchronous_commit = 'false'",
            "ALTER DATABASE postgres RESET ALL",
            Verdict.FAIL,
            "synchronous_commit is off",
        ),
        (
            "ALTER DATABASE postgres SET track_counts = 'no'",
            "ALTER DATABASE postgres RESET ALL",
            Verdict.FAIL,
            "track_counts is off",
        ),
        (
            "ALTER ROLE ALL SET track_counts = off",
            "ALTER ROLE ALL RESET ALL",
            Verdict.FAIL,
            "track_counts is off",
        ),
        (
            "ALTER SYSTEM SET autovacuum_naptime = '10s'",
            "ALTER SYSTEM RESET autovacuum_naptime",
            Verdict.PASS,
            "",
        ),
        (
            "ALTER SYSTEM SET synchronous_commit = 'local'",
            "ALTER SYSTEM RESET synchronous_commit",
            Verdict.PASS,
            "",
        ),
        (
            "ALTER DATABASE template1 SET track_counts = off",
            "ALTER DATABASE template1 RESET ALL",
            Verdict.PASS,
            "",
        ),
    ],
)
def test_what_keeps_a_server_healthy(
    server: Scratch, on: str, off: str, verdict: Verdict, words: str
) -> None:
    server.sql("db1", on)
    server.sql("db1", "SELECT pg_reload_conf(), pg_sleep(0.3)")
    try:
        found = judged(server)
    finally:
        server.sql("db1", off)
        server.sql("db1", "SELECT pg_reload_conf()")
    assert found.verdict is verdict, found.reason
    assert words in found.reason


@pytest.mark.parametrize(
    ("setting", "noted"),
    [
        ("SET synchronous_commit = off", True),
        # PostgreSQL takes these for off, and keeps them as they were written.
        ("SET synchronous_commit = false", True),
        ("SET synchronous_commit = 'NO'", True),
        ("SET synchronous_commit = '0'", True),
        ("IN DATABASE postgres SET synchronous_commit = 'Off'", True),
        ("IN DATABASE template1 SET synchronous_commit = off", False),
        ("SET synchronous_commit = on", False),
        ("SET synchronous_commit = 'true'", False),
        ("SET synchronous_commit = local", False),
        ("SET synchronous_commit = remote_apply", False),
    ],
)
def test_a_role_whose_commits_do_not_wait_is_a_note(server: Scratch, setting: str, noted: bool) -> None:
    server.sql("db1", f"CREATE ROLE app; ALTER ROLE app {setting}")
    try:
        found = judged(server)
    finally:
        server.sql("db1", "DROP ROLE app")
    assert ("synchronous_commit is off for role app" in " ".join(found.notes)) is noted


def test_expected_settings_are_the_servers_own(server: Scratch) -> None:
    """What our connections pin is read as a session of the platform gets it."""
    server.sql("db1", "ALTER DATABASE postgres SET datestyle = 'German'")
    server.sql("db1", "ALTER DATABASE postgres SET timezone = 'Asia/Tokyo'")
    try:
        with closing(Cluster(server.database(replicas=None))) as cluster:
            settings = server_state(cluster, cluster.primary).settings
    finally:
        server.sql("db1", "ALTER DATABASE postgres RESET ALL")
    assert settings["DateStyle"] == "German, DMY"
    assert settings["TimeZone"] == "Asia/Tokyo"
    assert settings["default_transaction_read_only"] == "off"


@pytest.mark.parametrize(
    ("value", "verdict", "words"),
    [
        ("now()", Verdict.PASS, ""),
        ("NULL", Verdict.PASS, "no age removes them"),
        ("'infinity'", Verdict.PASS, "no age removes them"),
        ("now() + interval '10 years'", Verdict.PASS, "no age removes them"),
        ("'-infinity'", Verdict.FAIL, "rows are older"),
        ("'0044-03-15 BC'", Verdict.FAIL, "rows are older"),
    ],
)
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_times_that_no_age_reaches(
    server: Scratch, value: str, verdict: Verdict, words: str, kind: str
) -> None:
    """Rows without a time, infinite, in the future or before our era: named or failed, never the driver's error."""
    server.sql(
        "db1",
        f"CREATE TABLE public.r (at {kind}); INSERT INTO public.r VALUES ({value}); GRANT SELECT ON public.r TO gate",
    )
    wanted = Retained.model_validate({"table": "public.r", "column": "at", "keep": "30d", "partman": "none"})
    try:
        with closing(Cluster(server.database(replicas=None))) as cluster:
            facts = retained_rows(cluster, wanted)
    finally:
        server.sql("db1", "DROP TABLE public.r")
    from dataclasses import replace

    found = judge_retention(replace(facts, partman=None), wanted)
    assert found.verdict is verdict, found.reason
    assert words in found.reason + " ".join(found.notes)


@pytest.mark.parametrize(
    ("options", "off"),
    [
        ("autovacuum_enabled = false", True),
        ("autovacuum_enabled = off", True),
        ("autovacuum_enabled = 'no'", True),
        ("autovacuum_enabled = 0", True),
        ("fillfactor = 70, autovacuum_enabled = 'F'", True),
        ("autovacuum_enabled", False),
        ("autovacuum_enabled = yes", False),
        ("fillfactor = 70", False),
    ],
)
def test_a_table_that_autovacuum_leaves_alone(server: Scratch, options: str, off: bool) -> None:
    """PostgreSQL keeps an option as it was written."""
    server.sql("db1", f"DROP SCHEMA IF EXISTS av CASCADE; CREATE SCHEMA av; CREATE TABLE av.t (id int) WITH ({options});"
               " GRANT USAGE ON SCHEMA av TO gate")  # fmt: skip
    wanted = AfterLoad(schemas=["av"])
    with closing(Cluster(server.database(replicas=None))) as cluster:
        found = judge_after_load(left_by_load(cluster, wanted), wanted)
    assert ("table with autovacuum switched off" in found.reason) is off, found.reason


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (
            "CREATE SEQUENCE sq.s; CREATE TABLE sq.t (id bigint DEFAULT nextval('sq.s'), n int); INSERT INTO sq.t VALUES (50, 1)",
            Verdict.FAIL,
        ),
        (
            "CREATE SEQUENCE sq.s; CREATE TABLE sq.t (id int DEFAULT nextval('sq.s')); INSERT INTO sq.t DEFAULT VALUES",
            Verdict.PASS,
        ),
        (
            "CREATE SEQUENCE sq.s; CREATE TABLE sq.t (id int DEFAULT nextval('sq.s'));"
            " CREATE TABLE sq.u (id int DEFAULT nextval('sq.s')); INSERT INTO sq.t DEFAULT VALUES; INSERT INTO sq.u VALUES (9)",
            Verdict.FAIL,
        ),
        (
            "CREATE SEQUENCE sq.s; CREATE TABLE sq.t (id text DEFAULT 'A' || nextval('sq.s')); INSERT INTO sq.t VALUES ('A99')",
            Verdict.PASS,
        ),
        ("CREATE TABLE sq.t (id serial); INSERT INTO sq.t VALUES (99)", Verdict.FAIL),
        (
            "CREATE SEQUENCE sq.s; CREATE TABLE sq.t (id int DEFAULT nextval(('sq.s'::text)::regclass)); INSERT INTO sq.t VALUES (7)",
            Verdict.FAIL,
        ),
        (
            'CREATE SEQUENCE sq."S s"; CREATE TABLE sq.t (id int DEFAULT nextval(\'sq."S s"\'::text)); INSERT INTO sq.t VALUES (7)',
            Verdict.FAIL,
        ),
        (
            "CREATE SEQUENCE sq.s; CREATE TABLE sq.t (id int DEFAULT nextval('sq.s'::text)); INSERT INTO sq.t DEFAULT VALUES",
            Verdict.PASS,
        ),
        (
            "CREATE TABLE sq.t (id int GENERATED ALWAYS AS IDENTITY); INSERT INTO sq.t OVERRIDING SYSTEM VALUE VALUES (99)",
            Verdict.FAIL,
        ),
    ],
)
def test_a_sequence_that_no_column_owns(server: Scratch, made: str, verdict: Verdict) -> None:
    server.sql("db1", f"DROP SCHEMA IF EXISTS sq CASCADE; CREATE SCHEMA sq; {made}; GRANT USAGE ON SCHEMA sq TO gate;"
               " GRANT SELECT ON ALL TABLES IN SCHEMA sq TO gate; GRANT SELECT ON ALL SEQUENCES IN SCHEMA sq TO gate; ANALYZE")  # fmt: skip
    wanted = AfterLoad(schemas=["sq"])
    with closing(Cluster(server.database(replicas=None))) as cluster:
        found = judge_after_load(left_by_load(cluster, wanted), wanted)
    assert (found.verdict is Verdict.FAIL) is (verdict is Verdict.FAIL), found.reason
    if verdict is Verdict.FAIL:
        assert "sq." in found.reason
