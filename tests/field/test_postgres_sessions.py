"""Who gets in without a password, and sessions that sit in an open transaction: on a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from places import server_folder
from scratch_cluster import Scratch

from pytest_deploygate.checks.postgres.judge.servers import judge_server
from pytest_deploygate.checks.postgres.probe.servers import server_state
from pytest_deploygate.checks.postgres.section.servers import ClusterSettings
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict

GRANT = "GRANT SELECT ON pg_hba_file_rules TO gate; GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO gate"
REVOKE = (
    "REVOKE SELECT ON pg_hba_file_rules FROM gate; REVOKE EXECUTE ON FUNCTION pg_hba_file_rules() FROM gate"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgt-"))
    try:
        (made.folder / "password").write_text("right")
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create("fsync = on", "password_encryption = 'scram-sha-256'")
        made.sql("db1", "ALTER ROLE gate PASSWORD 'right'; CREATE ROLE app LOGIN")
        yield made
    finally:
        made.destroy()


def hba(server: Scratch, lines: str) -> None:
    (server.folder / "db1/pg_hba.conf").write_text(lines)
    server.run("pg_ctl", "-D", "db1", "reload")
    time.sleep(0.3)


@pytest.fixture
def granted(server: Scratch) -> Iterator[None]:
    server.sql("db1", GRANT)
    yield
    hba(server, "host all all 127.0.0.1/32 trust\n")
    server.sql("db1", REVOKE)


def judged(server: Scratch, **more: object) -> Judgement:
    with closing(
        Cluster(server.database(replicas=None, password=f"file:{server.folder}/password"))
    ) as cluster:
        state = server_state(cluster, cluster.primary)
        asked = {"version": state.version, "checksums": False, "memory": "8GB", "preload": [], **more}
        return judge_server(state, ClusterSettings.model_validate(asked))


OWN = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("host all all 0.0.0.0/0 trust\n", "line 3 lets all from 0.0.0.0/0 into all"),
        ("host shop app 10.1.2.0 255.255.255.0 trust\n", "line 3 lets app from 10.1.2.0/24 into shop"),
        ("hostnossl all all ::/0 trust\nhost all all all trust\n", "from ::/0 into all without a password (trust) (and 1 more"),
        ("hostnossl replication all samenet trust\n", "from samenet into replication"),
        ("host all all .example.com trust\n", "from .example.com"),
    ],
)  # fmt: skip
def test_other_hosts_that_are_trusted_fail(server: Scratch, granted: None, more: str, words: str) -> None:
    hba(server, OWN + more)
    found = judged(server)
    assert found.verdict is Verdict.FAIL, found.reason
    assert words in found.reason
    assert "scram-sha-256" in found.reason


@pytest.mark.parametrize(
    ("more", "trusted"),
    [
        ("", []),
        ("host all all 10.0.0.0/8 scram-sha-256\n", []),
        ("host all all 10.0.0.0/8 reject\n", []),
        ("# host all all 0.0.0.0/0 trust\n", []),
        ("local all all trust\nhost all all ::1/128 trust\nhost all all samehost trust\n", []),
        ("host all all 10.0.0.7/32 trust\n", ["10.0.0.7/32"]),
    ],
)
def test_what_is_no_trust_of_other_hosts_passes(
    server: Scratch, granted: None, more: str, trusted: list[str]
) -> None:
    hba(server, OWN + more)
    found = judged(server, trust_from=trusted)
    assert found.verdict is Verdict.PASS, found.reason
    assert "own host in without a password (trust, line 1" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("host all all 127.0.0.1/32 trust\n", "logs in without its password on this host"),
        (OWN, "the gate's own role is asked for its password"),
    ],
)
def test_where_the_file_is_hidden_the_finding_says_so(server: Scratch, rules: str, words: str) -> None:
    """PostgreSQL shows pg_hba_file_rules to superusers and whom they let. What can be asked is our own login."""
    hba(server, rules)
    try:
        found = judged(server)
    finally:
        hba(server, "host all all 127.0.0.1/32 trust\n")
    assert found.verdict is Verdict.PASS, found.reason
    notes = " ".join(found.notes)
    assert "pg_hba.conf was not looked at" in notes
    assert words in notes
    assert "GRANT SELECT ON pg_hba_file_rules" in notes


@pytest.mark.parametrize(
    ("statement", "limit", "verdict"),
    [
        ("SELECT 1", "200ms", Verdict.FAIL),
        # An aborted one has given up its locks and its snapshot.
        ("SELECT 1/0", "200ms", Verdict.PASS),
        ("LOCK TABLE pg_catalog.pg_class IN ACCESS SHARE MODE", "200ms", Verdict.FAIL),
        ("SELECT 1", "1h", Verdict.PASS),
    ],
)
def test_a_session_idle_in_its_transaction(server: Scratch, statement: str, limit: str, verdict) -> None:
    own = f"host=127.0.0.1 port={server.ports['db1']} dbname=postgres user=app application_name=shop"
    with psycopg.connect(own) as held:
        try:
            held.execute(statement.encode())
        except psycopg.Error:
            assert held.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        time.sleep(0.5)
        found = judged(server, max_idle_in_transaction=limit)
        held.rollback()
    assert found.verdict is verdict, found.reason
    if verdict is Verdict.FAIL:
        assert "of app (shop) is idle in a transaction" in found.reason
        assert "pg_terminate_backend" in found.reason


def test_a_session_idle_outside_a_transaction_is_none(server: Scratch) -> None:
    own = f"host=127.0.0.1 port={server.ports['db1']} dbname=postgres user=app"
    with psycopg.connect(own, autocommit=True) as held:
        held.execute("SELECT 1")
        time.sleep(0.3)
        found = judged(server, max_idle_in_transaction="100ms")
    assert found.verdict is Verdict.PASS, found.reason


def test_sessions_that_hide_their_state_are_named(server: Scratch) -> None:
    own = f"host=127.0.0.1 port={server.ports['db1']} dbname=postgres user=app"
    server.sql("db1", "REVOKE pg_monitor FROM gate; GRANT pg_read_all_settings TO gate")
    try:
        with psycopg.connect(own) as held:
            held.execute("SELECT 1")
            found = judged(server)
    finally:
        server.sql("db1", "GRANT pg_monitor TO gate; REVOKE pg_read_all_settings FROM gate")
    assert "sessions are idle in a transaction was not seen" in " ".join(found.notes)
