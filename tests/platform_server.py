"""The lab's platform for one test module: its own small PostgreSQL, replicas and HAProxy with TLS, without the rest of a lab.

    @pytest.fixture(scope="module")
    def platform(lab_place):
        with platform_server.serving(lab_place / "own") as running:
            yield running

Switches are set with `running.change(name=value)`, and taken back with `running.as_started()`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import requests

from pytest_deploygate.lab import processes, sql
from pytest_deploygate.lab.services import platform
from pytest_deploygate.lab.state import DATABASE, HOST, PRIMARY, SUPERUSER, Lab

_ROLES = ("platform_owner", "platform_app", "deploygate")


@dataclass(frozen=True)
class Running:
    """A platform that runs. `lab` is a handle with its folder and ports only."""

    lab: Lab

    @property
    def url(self) -> str:
        return platform.url(self.lab)

    @property
    def ca_file(self) -> str:
        return str(platform.where(self.lab) / "root.pem")

    def value(self, name: str) -> str:
        """What `lab:NAME` is in an inventory."""
        return platform.values(self.lab)[name]

    def password(self, user: str) -> str:
        return self.lab.password(f"platform-{user}").reveal()

    def change(self, **switches: object) -> None:
        platform.change(self.lab, **switches)

    def as_started(self) -> None:
        platform.as_started(self.lab)

    def rows(self, query: str, **parameters: object) -> list[tuple[object, ...]]:
        """Rows of a statement as superuser."""
        return sql.execute(self.lab, query, parameters=parameters)

    def session(self) -> requests.Session:
        """A client that trusts the platform's certificate."""
        made = requests.Session()
        made.trust_env, made.verify = False, self.ca_file
        return made

    def token(self, user: str) -> str:
        """An access token of a user."""
        form = {"grant_type": "password", "username": user, "password": self.password(user)}
        answer = self.session().post(f"{self.url}/oauth/token", data=form, timeout=10)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def logged_in(self, user: str) -> requests.Session:
        """A client with a session."""
        made = self.session()
        form = {"user": user, "password": self.password(user)}
        answer = made.post(f"{self.url}/login", data=form, timeout=10, allow_redirects=False)
        assert answer.status_code == 303, answer.text
        return made


@contextlib.contextmanager
def serving(folder: Path, beside: Sequence[str] = ()) -> Iterator[Running]:
    """Serve the platform from a new folder, that the servers' user may enter, with one replica.

    `beside` are more of its servers by name: `platform.REPLICAS[1]`, `platform.PARTNER`, `platform.PLANT` …
    """
    pytest.importorskip("starlette")
    haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parts[4]))
    if not haproxy or not servers:
        pytest.skip("HAProxy or PostgreSQL is not installed here")
    lab = _lab(folder, servers[-1], haproxy)
    wanted = [platform.REPLICAS[0], platform.BALANCER, *beside]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _database(lab, stack)
        platform.prepare(lab)
        programs = platform.programs(lab)
        for name in wanted:
            program = programs[name]
            _run(lab, stack, name, program.argv, program.user)
        answers = [name for name in platform.REPLICAS if name in wanted]
        sql.wait_until("the platform", lambda: all(platform.answers(lab, name) for name in answers), 40.0)
        running = Running(lab)
        with running.session() as asking:
            sql.wait_until("HAProxy", lambda: asking.get(running.url, timeout=5).status_code == 200, 10.0)
        yield running


def _lab(folder: Path, servers: Path, haproxy: str) -> Lab:
    user = "postgres" if os.getuid() == 0 else None
    names = [PRIMARY, *platform.SERVICE.ports]
    lab = Lab(
        folder,
        servers,
        "",
        user,
        dict(zip(names, _free_ports(len(names)), strict=True)),
        None,
        {"haproxy": haproxy},
    )
    for place in (folder, folder / "secrets", folder / "log", lab.private):
        place.mkdir(mode=0o711)
    for name in (SUPERUSER, *_ROLES, *platform.SERVICE.secrets):
        lab.secret_file(name).write_text(secrets.token_urlsafe(12))
    if user:
        shutil.chown(lab.private, user)
    return lab


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind((HOST, 0))
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


def _database(lab: Lab, stack: contextlib.ExitStack) -> None:
    data, port = str(lab.private / "db1"), str(lab.ports[PRIMARY])
    processes.run(
        [
            lab.tool("initdb"),
            "-D",
            data,
            "-U",
            SUPERUSER,
            "-A",
            "trust",
            "-N",
            "--no-instructions",
            "-E",
            "UTF8",
            "--locale=C",
        ],
        user=lab.user,
    )
    words = [lab.tool("postgres"), "-D", data, "-p", port, "-k", str(lab.private), "-c", "fsync=off"]
    _run(lab, stack, PRIMARY, [*words, "-c", f"listen_addresses={HOST}"], lab.user)

    def there() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            sql.connect(lab, database="postgres").close()
            return True
        return False

    sql.wait_until("PostgreSQL", there, 30.0)
    with sql.connect(lab, database="postgres") as connection:
        for role in _ROLES:
            connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute("GRANT pg_monitor, pg_read_all_data TO deploygate")
        connection.execute(f"CREATE DATABASE {DATABASE}")


def _run(lab: Lab, stack: contextlib.ExitStack, name: str, argv: Sequence[str], user: str | None) -> None:
    log = stack.enter_context((lab.folder / "log" / f"{name}.log").open("wb"))
    entry = pwd.getpwnam(user) if user else None
    process = subprocess.Popen(
        list(argv),
        stdout=log,
        stderr=log,
        cwd="/",
        env=processes.environment(),
        **({"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []} if entry else {}),
    )
    stack.callback(process.wait, 20)
    stack.callback(process.send_signal, 2 if name == PRIMARY else 15)
