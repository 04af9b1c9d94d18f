"""Two PostgreSQL servers of different major versions: what migrates from one to the other is compared for real."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

import psycopg
from places import server_folder

from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.lab import programs

_CACHE = Path(__file__).parents[1] / ".cache" / "postgresql" / "node_modules"
_SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
shared_buffers = '64MB'
wal_level = 'logical'
max_wal_size = '512MB'
"""


class Server:
    """One server with a database `plant`, whose superuser `postgres` needs no password."""

    def __init__(self, name: str, major: int) -> None:
        self.name = name
        self.folder = server_folder(f"deploygate-compare-{name}-")
        self.folder.chmod(0o755)
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        self.bin = self._programs(major)
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def _programs(self, major: int) -> Path:
        packaged = _CACHE / f"postgresql-{major}"
        if not (packaged / "native").is_dir():  # without npm both are of the version that there is
            return programs.reachable(programs.find().servers, self.user and self.user.pw_name, self.folder)
        native = self.folder / "native"
        shutil.copytree(packaged / "native", native)
        for link in json.loads((packaged / "native" / "pg-symlinks.json").read_text()):
            target = self.folder / link["target"]
            with contextlib.suppress(FileExistsError):
                target.symlink_to(os.path.relpath(self.folder / link["source"], target.parent))
        return native / "bin"

    def run(self, *command: str) -> None:
        who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        log = self.folder / f"{command[0]}.out"
        with log.open("ab") as out:  # the server would keep a pipe open
            argv = [str(self.bin / command[0]), *command[1:]]
            done = subprocess.run(
                argv, cwd=self.folder, stdout=out, stderr=out, timeout=60, check=False, **who
            )
        assert done.returncode == 0, (command, log.read_text())

    def start(self) -> None:
        self.run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write(f"{_SETTINGS}port = {self.port}\nunix_socket_directories = '{self.folder}'\n")
        self.run("pg_ctl", "-D", "data", "-l", "log", "-w", "start")
        self.sql("CREATE DATABASE plant", database="postgres")

    def stop(self) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            with contextlib.suppress(AssertionError):
                self.run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text: str, database: str = "plant") -> list[tuple]:
        where = f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            done = connection.execute(text)
            return done.fetchall() if done.description else []

    def settings(self, **more: object) -> ConnectionSettings:
        node = {"name": self.name, "host": "127.0.0.1", "port": self.port}
        return ConnectionSettings.model_validate(
            {"name": "plant", "user": "postgres", "sslmode": "disable", "primary": node, **more}
        )
