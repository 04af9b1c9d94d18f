"""A primary and two streaming replicas on loopback that tests may break: real servers, free ports, own folder."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pytest_deploygate.inventory.models import Database, composed

GATE = "gate"
WRITES = "deploygate"
SYNCHRONOUS = "ANY 1 (db2, db3)"


def binaries() -> Path:
    """The newest system PostgreSQL that is there; skip the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[4]))
    if not found:
        pytest.skip("no PostgreSQL server is installed here")
    return found[-1].parent


class Scratch:
    """Folders, ports and commands of the nodes db1 (primary), db2 and db3."""

    def __init__(self, folder: Path, ports: dict[str, int] | None = None) -> None:
        self.folder = folder
        self.bin = binaries()
        self.ports = ports or dict(zip(("db1", "db2", "db3"), _free_ports(3), strict=True))
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            entry = pwd.getpwnam("postgres")
            os.chown(folder, entry.pw_uid, entry.pw_gid)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        prefix = (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        )
        done = subprocess.run(
            [*prefix, str(self.bin / command[0]), *command[1:]],
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
        return done

    def create(self, *settings: str) -> None:
        """Make db1 with a login `gate` (pg_monitor, owner of the schema `deploygate`), then db2 and db3 from it."""
        self.run("initdb", "-D", "db1", "-U", "postgres", "-A", "trust", "-N", "--no-instructions")
        lines = [
            "listen_addresses = '127.0.0.1'", f"unix_socket_directories = '{self.folder}'", "fsync = off",
            "max_slot_wal_keep_size = '256MB'", "wal_level = replica", "hot_standby = on", "shared_buffers = '16MB'",
            "wal_receiver_status_interval = '1s'", "max_connections = 60", *settings,
        ]  # fmt: skip
        with (self.folder / "db1/postgresql.conf").open("a") as conf:
            conf.write("\n".join(lines) + "\n")
        self.start("db1")
        self.sql("db1", f"CREATE ROLE {GATE} LOGIN; GRANT pg_monitor TO {GATE}")
        self.sql("db1", f"CREATE SCHEMA {WRITES} AUTHORIZATION {GATE}")
        for name in ("db2", "db3"):
            self.replica(name)

    def replica(self, name: str, source: str = "db1") -> None:
        """(Re)make a replica with a slot of its own name."""
        self.stop(name)
        shutil.rmtree(self.folder / name, ignore_errors=True)
        self.sql(
            source,
            f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{name}'",
        )
        conn = f"host=127.0.0.1 port={self.ports[source]} user=postgres application_name={name}"
        self.run("pg_basebackup", "-D", name, "-d", conn, "-R", "-C", "-S", name, "-c", "fast")
        self.start(name)
        wait(
            lambda: self.sql(
                source,
                f"SELECT 1 FROM pg_stat_replication WHERE application_name='{name}' AND state='streaming'",
            )
        )

    def start(self, name: str) -> None:
        self.run("pg_ctl", "-D", name, "-l", f"{name}.log", "-w", "-o", f"-p {self.ports[name]}", "start")

    def stop(self, name: str, mode: str = "fast") -> None:
        if (self.folder / name / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", name, "-m", mode, "-w", "stop", check=False)

    def sql(self, name: str, text: str, database: str = "postgres") -> list[tuple]:
        with psycopg.connect(
            host="127.0.0.1", port=self.ports[name], user="postgres", dbname=database, autocommit=True
        ) as connection:
            done = connection.execute(text)
            return done.fetchall() if done.description else []

    def setting(self, name: str, parameter: str, value: str | None) -> None:
        """ALTER SYSTEM and reload; None resets."""
        change = f"SET {parameter} = '{value}'" if value is not None else f"RESET {parameter}"
        self.sql(name, f"ALTER SYSTEM {change}")
        self.sql(name, "SELECT pg_reload_conf()")
        time.sleep(0.3)

    def receiver(self, name: str) -> int:
        return self.sql(name, "SELECT pid FROM pg_stat_wal_receiver")[0][0]

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Stop the replica's WAL receiver as a hung process would be."""
        pid = self.receiver(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def crash_with_frozen_receivers(self) -> None:
        """Kill db1 after its replicas have received nothing for a while: what was acknowledged meanwhile is nowhere else."""
        receivers = [self.receiver(name) for name in ("db2", "db3")]
        for pid in receivers:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.7)
        self.stop("db1", "immediate")
        # A frozen receiver has unread data in its socket: killed, it cannot write them.
        for pid in receivers:
            os.kill(pid, signal.SIGKILL)

    def restore(self, promoted: str) -> None:
        """Make db1 the primary again, with the data of the promoted node, and the others its replicas."""
        self.stop("db1", "immediate")
        shutil.rmtree(self.folder / "db1")
        conn = f"host=127.0.0.1 port={self.ports[promoted]} user=postgres"
        self.run("pg_basebackup", "-D", "db1", "-d", conn, "-c", "fast")
        for name in ("db2", "db3"):
            self.stop(name, "immediate")
        self.start("db1")
        for name in ("db2", "db3"):
            self.replica(name)
        self.setting("db1", "synchronous_standby_names", SYNCHRONOUS)

    def command(self, method: str, *arguments: str) -> str:
        """A command line that calls one of these methods, as an inventory would name it."""
        state = json.dumps({"folder": str(self.folder), "ports": self.ports})
        return shlex.join([sys.executable, __file__, state, method, *arguments])

    def destroy(self) -> None:
        for name in ("db3", "db2", "db1"):
            self.stop(name, "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self, **more: object) -> Database:
        """The inventory's database section for this cluster."""
        node = {n: {"name": n, "host": "127.0.0.1", "port": p} for n, p in self.ports.items()}
        section = {
            "name": "postgres", "user": GATE, "sslmode": "disable", "connect_timeout": "2s",
            "statement_timeout": "5s", "primary": node["db1"], "replicas": [node[name] for name in node if name != "db1"], **more,
        }  # fmt: skip
        database = composed().model_validate({"name": "scratch", "database": section}).database
        assert database is not None
        return database


def wait(condition, seconds: float = 60.0):
    """Wait until a condition holds; a database that is not up yet counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(psycopg.Error):
            if found := condition():
                return found
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@contextlib.contextmanager
def scratch(*settings: str) -> Iterator[Scratch]:
    # Not above: as a script (`command`) this file does not find its neighbours.
    from places import server_folder

    made = Scratch(server_folder("deploygate-test-"))
    try:
        made.create(*settings)
        yield made
    finally:
        made.destroy()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


if __name__ == "__main__":
    _state = json.loads(sys.argv[1])
    getattr(Scratch(Path(_state["folder"]), _state["ports"]), sys.argv[2])(*sys.argv[3:])
