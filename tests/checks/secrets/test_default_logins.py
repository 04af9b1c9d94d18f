"""Well-known logins, tried once at real servers: Redis, a page with basic authentication, and what is none of them."""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest

from pytest_deploygate.checks.secrets import judge
from pytest_deploygate.checks.secrets.facts import Tried
from pytest_deploygate.checks.secrets.probe import default_logins
from pytest_deploygate.checks.secrets.section import DefaultPasswords, Services
from pytest_deploygate.clients import reach
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.model import Judgement, Verdict


def judged(tried: Tried) -> Judgement:
    """Return the judgement of one service."""
    return judge.judge_default_login(
        tried, Services.model_validate({"default_passwords": {"database": True}})
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def redis(folder: Path, *options: str) -> Iterator[int]:
    """Run Redis with these options."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server here: apt install redis-server")
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    with subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield port
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("options", "verdict", "said"),
    [
        ((), Verdict.FAIL, "Redis cache: everybody gets in without a login"),
        (("--requirepass", "foobared"), Verdict.FAIL, "default gets in with a well-known default password"),
        (
            ("--requirepass", "a-password-of-its-own"),
            Verdict.PASS,
            "refuses the default passwords of default",
        ),
    ],
)
def test_redis(tmp_path, options, verdict, said):
    with redis(tmp_path, *options) as port:
        where = {"redis": [{"name": "cache", "host": "127.0.0.1", "port": port}]}
        [tried] = default_logins.tried(DefaultPasswords.model_validate(where), None)
    result = judged(tried)
    assert result.verdict is verdict, result.reason
    assert said in result.reason


@contextlib.contextmanager
def page(
    login: str | None, status: int = 401, asks: str = 'Basic realm="x"'
) -> Iterator[tuple[str, list[str]]]:
    """Serve a page for one login; none: for everybody. Gives the URL, and the logins that came."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            if given:
                came.append(base64.b64decode(given.removeprefix("Basic ")).decode())
            ok = login is None or came[-1:] == [login]
            self.send_response(200 if ok else status)
            if not ok and asks:
                self.send_header("WWW-Authenticate", asks)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/admin", came
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("login", "status", "asks", "verdict", "said"),
    [
        (
            "admin:admin",
            401,
            "Basic realm=x",
            Verdict.FAIL,
            "admin gets in with a well-known default password",
        ),
        (
            "admin:its own",
            401,
            "Basic realm=x",
            Verdict.PASS,
            "refuses the default passwords of admin, guest",
        ),
        (None, 401, "", Verdict.INCONCLUSIVE, "it is open to everybody, or shows a form"),
        ("x:y", 302, "", Verdict.INCONCLUSIVE, "asks for no basic authentication"),
        ("x:y", 500, "", Verdict.INCONCLUSIVE, "it answers 500"),
    ],
)
def test_a_page(login, status, asks, verdict, said):
    reach.begin()
    with page(login, status, asks) as (url, came):
        where = DefaultPasswords.model_validate({"pages": [{"name": "console", "url": url}]})
        [tried] = default_logins.tried(where, None)
    result = judged(tried)
    assert result.verdict is verdict, result.reason
    assert said in result.reason
    users = [login.partition(":")[0] for login in came]
    assert len(users) == len(set(users)), "each user is tried once"


def test_nothing_listens_there():
    reach.begin()
    port = free_port()
    where = {
        "redis": [{"name": "cache", "host": "127.0.0.1", "port": port}],
        "pages": [{"name": "console", "url": f"http://127.0.0.1:{port}/"}],
        "database": True,
    }
    settings = ConnectionSettings.model_validate(
        {"name": "x", "user": "gate", "primary": {"name": "db1", "host": "127.0.0.1", "port": port}}
    )
    found = default_logins.tried(DefaultPasswords.model_validate(where), settings)
    assert [judged(tried).verdict for tried in found] == [Verdict.INCONCLUSIVE] * 3


@pytest.mark.parametrize(
    ("said", "let_in"),
    [
        ('FATAL:  password authentication failed for user "admin"', ()),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "admin"', ()),
        ('FATAL:  role "admin" does not exist', ()),
        ('FATAL:  database "postgres" does not exist', ("postgres", "admin")),
        ('FATAL:  permission denied for database "postgres"', ("postgres", "admin")),
    ],
)
def test_what_postgresql_says_after_a_login_is_told_from_a_refusal(monkeypatch, said, let_in):
    def connect(**_: object) -> None:
        raise psycopg.OperationalError(said)

    monkeypatch.setattr(psycopg, "connect", connect)
    settings = ConnectionSettings.model_validate({"name": "x", "user": "gate", "primary": "db1"})
    [tried] = default_logins.tried(DefaultPasswords(database=True), settings)
    assert (tried.let_in, tried.problem) == (let_in, "")


@pytest.mark.parametrize("keys", [{}, {"default_passwords": {}}])
def test_services_without_any_are_a_mistake(keys):
    with pytest.raises(ValueError, match="name"):
        Services.model_validate(keys)
