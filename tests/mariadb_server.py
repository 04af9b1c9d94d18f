"""A MariaDB server of the tests' own, on loopback, as an unprivileged user, with its own data."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time

import pymysql
from places import server_folder

_STARTS_S = 60.0


class MariaDbServer:
    """One server with a database `plant`, whose user `mover` has all rights to it. `options` are those of mariadbd."""

    def __init__(self, *options: str) -> None:
        self.folder = server_folder("deploygate-mariadb-")
        self.folder.chmod(0o755)
        root = os.getuid() == 0
        self.user = next((u for u in map(_user, ("mysql", "nobody")) if u), None) if root else None
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        with (self.folder / "server.log").open("ab") as log:
            made = subprocess.run(
                ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--auth-root-authentication-method=normal",
                 "--skip-test-db", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M"],
                cwd=self.folder, stdout=log, stderr=log, timeout=120, check=False, **who,
            )  # fmt: skip
            assert made.returncode == 0, self._log()
            self._process = subprocess.Popen(
                [_program("mariadbd"), "--no-defaults", f"--datadir={self.folder}/data", f"--port={self.port}",
                 "--bind-address=127.0.0.1", f"--socket={self.folder}/server.sock", f"--pid-file={self.folder}/server.pid",
                 "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=48M",
                 "--skip-name-resolve", *self.options],
                cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **who,
            )  # fmt: skip
        end = time.monotonic() + _STARTS_S
        while True:
            try:
                self.sql("SELECT 1", user="root", database="")
                break
            except pymysql.err.OperationalError:
                assert self._process.poll() is None, self._log()
                assert time.monotonic() < end, self._log()
                time.sleep(0.05)
        self.sql(
            "CREATE DATABASE plant CHARACTER SET utf8mb4; CREATE USER mover@'%'; GRANT ALL ON plant.* TO mover@'%';"
            " GRANT PROCESS ON *.* TO mover@'%'",
            user="root",
            database="",
        )

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text: str, user: str = "root", database: str = "plant") -> list[tuple]:
        """Run statements; return the rows of the last one."""
        many = pymysql.constants.CLIENT.MULTI_STATEMENTS
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, database=database or None, autocommit=True, client_flag=many, charset="utf8mb4"
        )  # fmt: skip
        with connection, connection.cursor() as cursor:
            cursor.execute(text)
            rows = cursor.fetchall()
            while cursor.nextset():
                rows = cursor.fetchall()
            return list(rows)

    def login(self, **more: object) -> dict[str, object]:
        """How an inventory names the server."""
        primary = {"name": "old", "host": "127.0.0.1", "port": self.port}
        return {
            "kind": "mariadb",
            "name": "plant",
            "user": "mover",
            "sslmode": "disable",
            "primary": primary,
            **more,
        }

    def _log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-2000:]


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed"
    return found
