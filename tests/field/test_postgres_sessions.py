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
        made.run(
            "/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=db1",
            "-keyout", "db1/server.key", "-out", "db1/server.crt",
        )  # fmt: skip
        made.sql("db1", "ALTER SYSTEM SET ssl = on")
        made.sql("db1", "SELECT pg_reload_conf()")
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


def judged(server: Scratch, *, user: str = "gate", **more: object) -> Judgement:
    asked = {"replicas": None, "password": f"file:{server.folder}/password", "user": user}
    with closing(Cluster(server.database(**asked))) as cluster:
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
        ("hostssl all all 10.0.0.0/8 trust clientcert=verify-ca\n", "from 10.0.0.0/8"),
        ("host all app all reject\nhost all all 10.0.0.0/8 trust\n", "line 4 lets all from 10.0.0.0/8"),
        ("host all all 10.1.0.0/16 reject\nhost all all 10.0.0.0/8 trust\n", "line 4 lets all from 10.0.0.0/8"),
        ("hostssl all all all scram-sha-256\nhost all all all trust\n", "line 4 lets all from all into all"),
        ("host all all all scram-sha-256\nhost replication all all trust\n", "line 4 lets all from all into replication"),
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
        # The first line that matches decides: what comes after it lets nobody in.
        ("host all all all scram-sha-256\nhost all all 10.0.0.0/8 trust\n", []),
        ("host all all 10.0.0.0/8 reject\nhostssl shop all 10.1.0.0/16 trust\n", []),
        ("host replication all all reject\nhost replication all 10.0.0.0/8 trust\n", []),
        ("hostssl all all 10.0.0.0/8 trust clientcert=verify-full\n", []),
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
def test_where_the_file_is_hidden_nothing_is_known(server: Scratch, rules: str, words: str) -> None:
    """PostgreSQL shows pg_hba_file_rules to superusers and whom they let. What can be asked is our own login."""
    hba(server, rules)
    try:
        found = judged(server)
        accepted = judged(server, login_rules=False)
    finally:
        hba(server, "host all all 127.0.0.1/32 trust\n")
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert "pg_hba.conf was not looked at" in found.reason
    assert words in found.reason
    assert accepted.verdict is Verdict.PASS, accepted.reason
    assert "pg_hba.conf was not looked at" in " ".join(accepted.notes)


@pytest.mark.parametrize("quoted", ["gate", '"Gate keeper"'])
def test_the_statements_of_the_finding_open_the_file(server: Scratch, quoted: str) -> None:
    """Also each alone is not enough, and a role's name may need quotes."""
    name = quoted.strip('"')
    if name != "gate":
        server.sql(
            "db1",
            f"DROP ROLE IF EXISTS {quoted}; CREATE ROLE {quoted} LOGIN PASSWORD 'right'; GRANT pg_monitor TO {quoted}",
        )
    try:
        closed = judged(server, user=name).reason
        statements = [f"{s};" for s in closed.partition("primary: ")[2].split(" (where")[0].split(";") if s]
        assert len(statements) == 2
        server.sql("db1", statements[0])
        assert judged(server, user=name).verdict is Verdict.INCONCLUSIVE
        server.sql("db1", statements[1])
        assert judged(server, user=name).verdict is Verdict.PASS
    finally:
        server.sql("db1", REVOKE.replace("gate", quoted))
        if name != "gate":
            server.sql("db1", f"DROP OWNED BY {quoted}; DROP ROLE {quoted}")


def test_a_line_for_tls_where_the_server_has_none_lets_nobody_in(server: Scratch, granted: None) -> None:
    """PostgreSQL reads it and says that it cannot match: it is no mistake of the file, and decides nothing."""
    server.sql("db1", "ALTER SYSTEM SET ssl = off")
    try:
        hba(server, f"{OWN}hostssl all all 0.0.0.0/0 trust\n")
        found = judged(server)
        assert found.verdict is Verdict.PASS, found.reason
        hba(server, f"{OWN}hostssl all all all reject\nhost all all 10.0.0.0/8 trust\n")
        assert "line 4 lets all from 10.0.0.0/8" in judged(server).reason
    finally:
        server.sql("db1", "ALTER SYSTEM SET ssl = on")
        server.sql("db1", "SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("host all all 10.0.0.0/99 scram-sha-256", "invalid CIDR mask"),
        ("host all all 10.0.0.0/8 scram", "invalid authentication method"),
        ("hosst all all all scram-sha-256", "invalid connection type"),
        ("host all all", "end-of-line before IP address"),
    ],
)
def test_a_file_that_the_server_refuses(server: Scratch, granted: None, line: str, words: str) -> None:
    """The server goes on with its earlier rules, and does not start with this file."""
    hba(server, f"{OWN}{line}\n")
    found = judged(server)
    assert found.verdict is Verdict.FAIL, found.reason
    assert "pg_hba.conf line 3 is refused" in found.reason
    assert words in found.reason
    assert "does not start again" in found.reason


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
        found = judged(server, max_idle_in_transaction=limit, login_rules=False)
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
        found = judged(server, max_idle_in_transaction="100ms", login_rules=False)
    assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.parametrize(
    ("hide", "show"),
    [
        ("REVOKE pg_monitor FROM gate; GRANT pg_read_all_settings TO gate", "GRANT pg_monitor TO gate; REVOKE pg_read_all_settings FROM gate"),
        ("ALTER ROLE app SET track_activities = off", "ALTER ROLE app RESET track_activities"),
    ],
)  # fmt: skip
def test_sessions_that_hide_their_state_are_not_taken_for_good(server: Scratch, hide: str, show: str) -> None:
    own = f"host=127.0.0.1 port={server.ports['db1']} dbname=postgres user=app"
    server.sql("db1", hide)
    try:
        with psycopg.connect(own) as held:
            held.execute("SELECT 1")
            found = judged(server, login_rules=False)
    finally:
        server.sql("db1", show)
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert "hide whether they are idle in a transaction: 1" in found.reason
