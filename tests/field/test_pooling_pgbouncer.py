"""A real PgBouncer: modes and sizes in force per role and database, all databases of one server, and what is behind it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from places import server_folder
from scratch_cluster import Scratch, _free_ports, wait

from pytest_deploygate.checks.pooling import judge
from pytest_deploygate.checks.pooling.probe import capacity, under_pressure
from pytest_deploygate.checks.pooling.probe import pooler as read
from pytest_deploygate.checks.pooling.section import Pooling
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Judgement, Verdict


class Bouncer:
    """PgBouncer in front of a primary and its replicas; `asked` starts it with a configuration and judges it."""

    def __init__(self, server: Scratch) -> None:
        self.server = server
        self.port = _free_ports(1)[0]

    @contextmanager
    def running(self, databases: str, users: str = "", settings: str = "") -> Iterator[None]:
        """Start it with a configuration, and stop it."""
        folder = self.server.folder
        ports = {name: str(port) for name, port in self.server.ports.items()}
        (folder / "users.txt").write_text(
            "".join(f'"{u}" ""\n' for u in ("gate", "app", "batch", "postgres"))
        )
        (folder / "bouncer.ini").write_text(
            f"[databases]\n{databases.format(**ports)}\n[users]\n{users}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nauth_type = trust\nauth_file = {folder}/users.txt\nstats_users = gate\n"
            f"pool_mode = transaction\ndefault_pool_size = 10\nlogfile = {folder}/bouncer.log\nunix_socket_dir =\n{settings}\n"
        )
        user = ["--user", "postgres"] if os.getuid() == 0 else []
        run = subprocess.Popen(["pgbouncer", *user, str(folder / "bouncer.ini")], stderr=subprocess.DEVNULL)
        try:
            wait(
                lambda: psycopg.connect(**self.login | {"dbname": "pgbouncer"}, user="gate").close() or True,
                10,
            )
            yield
        finally:
            run.send_signal(signal.SIGINT)
            run.wait(10)

    @property
    def login(self) -> dict[str, object]:
        return {"host": "127.0.0.1", "port": self.port, "dbname": "postgres"}

    def section(self, pressure: dict[str, object] | None = None, **more: object) -> Pooling:
        own = {"name": "p", "host": "127.0.0.1", "port": self.port, **more}
        return Pooling.model_validate({"poolers": [own], "reserve": 0, "pressure": pressure})

    def asked(
        self, databases: str, users: str = "", clients: tuple[str, ...] = (), **more: object
    ) -> list[Judgement]:
        """Return the judgements of pooler and capacity. `clients` are roles that are connected meanwhile."""
        held: list[psycopg.Connection] = []
        with self.running(databases, users):
            try:
                for role in clients:
                    held.append(psycopg.connect(**self.login, user=role))
                    held[-1].execute("SELECT 1")
                section = self.section(**more)
                with closing(Cluster(self.server.database())) as cluster:
                    facts = read(cluster, section.poolers[0])
                    return [
                        judge.judge_pooler(facts, section.poolers[0]),
                        judge.judge_capacity(capacity(cluster, section), section),
                    ]
            finally:
                for each in held:
                    each.close()


@pytest.fixture(scope="module")
def bouncer() -> Iterator[Bouncer]:
    if shutil.which("pgbouncer") is None:
        pytest.skip("pgbouncer is not installed")
    made = Scratch(server_folder("dgp-"))
    try:
        made.create()
        made.sql("db1", "CREATE ROLE app LOGIN; CREATE ROLE batch LOGIN")
        made.sql("db1", "CREATE DATABASE second")
        yield Bouncer(made)
    finally:
        made.destroy()


HERE = "postgres = host=127.0.0.1 port={db1}"


def test_a_healthy_pooler(bouncer: Bouncer) -> None:
    pooler, room = bouncer.asked(HERE)
    assert (pooler.verdict, room.verdict) == (Verdict.PASS, Verdict.PASS), (pooler.reason, room.reason)
    assert "p 10 + direct 0 = 10 of 57" in room.reason


@pytest.mark.parametrize(
    ("databases", "users", "clients", "words"),
    [
        (HERE, "app = pool_mode=session", ("app",), "another mode for app (session)"),
        (HERE, "app = pool_mode=session", (), "another mode for app (session)"),
        (
            HERE,
            "app = pool_mode=statement\nbatch = pool_mode=session",
            (),
            "app (statement), batch (session)",
        ),
        (HERE + " pool_mode=session", "", (), "uses session pooling"),
        ("postgres = host=127.0.0.1 port={db2}", "", (), "leads to a replica"),
        ("postgres = host=127.0.0.1 port={db3}", "", (), "leads to a replica"),
    ],
)
def test_what_is_in_force_for_one_role_counts(
    bouncer: Bouncer, databases: str, users: str, clients: tuple[str, ...], words: str
) -> None:
    pooler, _ = bouncer.asked(databases, users, clients)
    assert pooler.verdict is Verdict.FAIL, pooler.reason
    assert words in pooler.reason


@pytest.mark.parametrize(
    ("databases", "verdicts", "words"),
    [
        ("* = host=127.0.0.1 port={db1}", (Verdict.PASS, Verdict.PASS), "p 10 + direct 0 = 10 of 57"),
        ("* = host=127.0.0.1 port={db1} pool_size=60", (Verdict.PASS, Verdict.FAIL), "p 60 + direct 0 = 60 of 57"),
        ("* = host=127.0.0.1 port={db1} pool_mode=session", (Verdict.FAIL, Verdict.PASS), "uses session pooling"),
        ("* = host=127.0.0.1 port={db2}", (Verdict.FAIL, Verdict.PASS), "leads to a replica"),
        ("second = host=127.0.0.1 port={db1}", (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE), "it has no database postgres; it has second"),
    ],
)  # fmt: skip
def test_any_database(
    bouncer: Bouncer, databases: str, verdicts: tuple[Verdict, Verdict], words: str
) -> None:
    """PgBouncer lists a database of `*` only once a client came: nobody has to have come before the gate."""
    pooler, room = bouncer.asked(databases)
    assert (pooler.verdict, room.verdict) == verdicts, (pooler.reason, room.reason)
    assert words in pooler.reason + room.reason


@pytest.mark.parametrize(
    ("databases", "words"),
    [
        ("\nsecond = host={folder} port={db1} pool_size=200", "p's second 200"),
        (
            "\nsecond = host=127.0.0.1 port={db1} dbname=postgres pool_size=60 min_pool_size=5",
            "p's second 60",
        ),
        ("\nsecond = host=127.0.0.9,localhost port={db1} pool_size=70", "p's second 70"),
        ("\nsecond = host=127.0.0.1 port=1 pool_size=200", "p 10 + direct 0"),
    ],
)
def test_other_ways_to_the_same_server(bouncer: Bouncer, databases: str, words: str) -> None:
    """By its socket and by its address; a server that is not there is another one."""
    _, room = bouncer.asked(HERE + databases.replace("{folder}", str(bouncer.server.folder)))
    assert words in room.reason
    assert room.verdict is (Verdict.FAIL if "second" in words else Verdict.PASS), room.reason


@pytest.mark.parametrize(
    ("databases", "users"),
    [
        (HERE, "app = pool_mode=transaction"),
        (HERE + " pool_mode=transaction", ""),
        (HERE + " pool_mode=session", "gate = pool_mode=transaction"),
    ],
)
def test_an_override_that_is_as_expected(bouncer: Bouncer, databases: str, users: str) -> None:
    pooler, _ = bouncer.asked(databases, users)
    expected = Verdict.FAIL if "session" in databases else Verdict.PASS
    assert pooler.verdict is expected, pooler.reason


def test_a_role_in_another_mode_on_purpose(bouncer: Bouncer) -> None:
    pooler, _ = bouncer.asked(HERE, "batch = pool_mode=session", ("batch",), other_mode=["batch"], roles=2)
    assert pooler.verdict is Verdict.PASS, pooler.reason


@pytest.mark.parametrize(
    ("databases", "asked", "verdict"),
    [
        (HERE + "\nsecond = host=127.0.0.1 port={db1} pool_size=200", "p 10 + p's second 200", Verdict.FAIL),
        (HERE + "\nsecond = host=localhost port={db1} pool_size=50", "p's second 50", Verdict.FAIL),
        (
            HERE + "\nsecond = host=127.0.0.1 port={db1} pool_size=200 max_db_connections=20",
            "p's second 20",
            Verdict.PASS,
        ),
        (HERE + "\nsecond = host=127.0.0.1 port={db2} pool_size=200", "p 10 + direct 0", Verdict.PASS),
        (
            HERE + "\nalias = host=127.0.0.1 port={db1} dbname=postgres pool_size=49",
            "p's alias 49",
            Verdict.FAIL,
        ),
        (HERE + " pool_size=30 reserve_pool=28", "p 58", Verdict.FAIL),
        (HERE + " pool_size=30 user=app", "p 30", Verdict.PASS),
    ],
)
def test_all_databases_of_one_server_count(
    bouncer: Bouncer, databases: str, asked: str, verdict: Verdict
) -> None:
    _, room = bouncer.asked(databases)
    assert asked in room.reason, room.reason
    assert room.verdict is verdict, room.reason


@pytest.mark.parametrize(
    ("behind", "verdict", "words"),
    [
        ("db1", Verdict.INCONCLUSIVE, "GRANT EXECUTE ON FUNCTION pg_control_system() TO the gate's role"),
        ("db2", Verdict.FAIL, "leads to a replica"),
    ],
)
def test_where_the_identity_is_hidden_the_role_of_the_server_is_not(
    bouncer: Bouncer, behind: str, verdict: Verdict, words: str
) -> None:
    function = "FUNCTION pg_control_system()"
    bouncer.server.sql("db1", f"REVOKE EXECUTE ON {function} FROM PUBLIC")
    try:
        pooler, _ = bouncer.asked(f"postgres = host=127.0.0.1 port={bouncer.server.ports[behind]}")
    finally:
        bouncer.server.sql("db1", f"GRANT EXECUTE ON {function} TO PUBLIC")
    assert pooler.verdict is verdict, pooler.reason
    assert words in pooler.reason


def test_a_role_that_the_server_refuses_leaves_it_open(bouncer: Bouncer) -> None:
    """The console answers, but through the pooler nothing does."""
    pooler, _ = bouncer.asked("postgres = host=127.0.0.1 port={db1} user=nobody_here")
    assert pooler.verdict is Verdict.INCONCLUSIVE, pooler.reason
    assert "whether p leads to the primary is unknown" in pooler.reason
    assert "nobody_here" in pooler.reason


@pytest.mark.parametrize(
    ("most", "clients", "words"),
    [
        (5, 80, "accepts 5 clients in all (max_client_conn), no more than db1 itself (60 max_connections)"),
        (60, 80, "raise max_client_conn and restart it"),
        (60, 200, "accepts 60 clients in all"),
        (70, 80, "80 clients exceed max_client_conn of p (70): lower `clients`"),
    ],
)
def test_a_pooler_that_takes_too_few_clients_is_told_as_that(
    bouncer: Bouncer, most: int, clients: int, words: str
) -> None:
    """Not as a pool that is too small, and lower clients only where that helps."""
    section = bouncer.section({"clients": clients, "opt_in": "scratch"})
    with (
        bouncer.running(HERE, settings=f"max_client_conn = {most}"),
        closing(Cluster(bouncer.server.database())) as cluster,
        pytest.raises(CannotTell) as told,
    ):
        under_pressure(cluster, section, section.poolers[0], "scratch", allowed=True)
    assert words in str(told.value)


@pytest.mark.parametrize("most", [80, 200])
def test_a_pooler_that_takes_enough_clients_is_put_under_pressure(bouncer: Bouncer, most: int) -> None:
    section = bouncer.section({"clients": 70, "opt_in": "scratch"})
    with (
        bouncer.running(HERE, settings=f"max_client_conn = {most}"),
        closing(Cluster(bouncer.server.database())) as cluster,
    ):
        drawn = unrecorded("db.pooling")
        found = under_pressure(cluster, section, section.poolers[0], "scratch", allowed=True, budget=drawn)
    (entry,) = drawn.ledger.entries()
    assert entry.before is not None, "the server was watched meanwhile"
    assert found.record is not None
    assert (found.record.facts.clients, found.record.facts.answers > 0) == (70, True)
