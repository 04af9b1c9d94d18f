"""Requests through real servers on loopback, followed in their logs; each way in which that goes wrong has a reason of its own."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ssh_server import serving

from pytest_deploygate.checks.access_logs import judge, probe
from pytest_deploygate.checks.access_logs.facts import Followed
from pytest_deploygate.checks.access_logs.section import AccessLogs
from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.clients import reach
from pytest_deploygate.model import Judgement, Verdict

_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/bin"
#: What a server's line tells of a request.
FIELDS = {
    "time": "time",
    "source": "source",
    "method": "method",
    "path": "path",
    "status": "status",
    "duration": "seconds",
    "user": "user",
}


class Application:
    """An HTTP server that logs each request as JSON, as `writes` changes it; `status` is what it answers with."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.status = 200
        self.writes: Callable[[dict[str, object], BaseHTTPRequestHandler, str], object] = (
            lambda told, _r, _b: told
        )
        self.seen: list[tuple[str, str, dict[str, str], str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                outer.seen.append((self.command, self.path, dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
                outer.write(self, body)

            def log_message(self, *_arguments: object) -> None:
                """Write no log of its own."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The address of a page."""
        return f"http://127.0.0.1:{self.server.server_port}/page"

    def write(self, request: BaseHTTPRequestHandler, body: str) -> None:
        """Write the line of a request."""
        told = {
            "time": datetime.now(UTC).isoformat(),
            "source": "127.0.0.1",
            "method": request.command,
            "path": request.path.partition("?")[0],
            "status": self.status,
            "seconds": 0.001,
            "user": None,
            "agent": request.headers["User-Agent"],
        }
        said = self.writes(told, request, body)
        if said is not None:
            with self.log.open("a") as opened:
                opened.write(said if isinstance(said, str) else json.dumps(said) + "\n")


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    log = tmp_path / "access.log"
    log.touch(mode=0o640)
    log.chmod(0o640)
    Path(f"{log}.1").touch()
    reach.begin()
    found = Application(log)
    yield found
    found.server.shutdown()
    found.server.server_close()


def section(application: Application, **keys: object) -> AccessLogs:
    """Return the section of the application as the only hop."""
    hop = {
        "name": "application",
        "connection": "local://",
        "file": str(application.log),
        "format": "json",
        "fields": FIELDS,
        **keys.pop("hop", {}),  # type: ignore[dict-item]
    }
    return AccessLogs.model_validate(
        {
            "request": {"url": application.url},
            "post": {"url": application.url},
            "hops": [hop],
            "within": "1s",
            **keys,
        }
    )


def followed(application: Application, **keys: object) -> tuple[Followed, Judgement]:
    """Follow a request, and judge."""
    said = section(application, **keys)
    measured = probe.follow(said, {})
    return measured, judge.judge(measured, said)


def test_a_healthy_log(application):
    measured, judgement = followed(application)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert [(sent.method, sent.status) for sent in measured.sent] == [("GET", 200), ("POST", 200)]


def test_what_is_sent(application):
    measured, _ = followed(application, canaries={"parameter": "key"})
    (get, first, headers, _), (post, second, _, body) = application.seen
    assert (get, post) == ("GET", "POST")
    for url in (first, second):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
        assert set(query) == {"deploygate", "key"}
    assert headers["User-Agent"].endswith(
        urllib.parse.parse_qs(urllib.parse.urlsplit(first).query)["deploygate"][0]
    )
    assert headers["Authorization"].startswith("Bearer dg")
    assert headers["Cookie"].startswith("session=dg")
    assert headers["X-Api-Key"].startswith("dg")
    assert json.loads(body)["password"].startswith("dg")
    assert measured.sent[1].carried == (
        "the header Authorization",
        "the cookie",
        "the header X-Api-Key",
        "the body",
        "the query",
    )
    shown = repr(measured)
    for value in (headers["X-Api-Key"], headers["Cookie"], json.loads(body)["password"]):
        assert value.rpartition("=")[2] not in shown


def test_the_mark_in_a_path_and_in_a_header(application):
    """Nothing else of the request is logged."""
    application.writes = lambda told, request, _: {
        **told,
        "agent": request.headers["X-Request-Id"],
        "path": "/",
    }
    request = {"url": f"{application.url}/{{marker}}", "headers": {"X-Request-Id": "{marker}"}}
    _, judgement = followed(application, request=request, post={**request, "url": application.url})
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert application.seen[0][1].startswith(f"/page/{application.seen[0][2]['X-Request-Id']}?token=")


def canary(request: BaseHTTPRequestHandler, body: str) -> dict[str, str]:
    """Return the canaries of a request by where they are."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
    return {
        "query": query["token"][0],
        "header Authorization": request.headers["Authorization"].split()[1],
        "cookie": request.headers["Cookie"].partition("=")[2],
        "header X-Api-Key": request.headers["X-Api-Key"],
        "body": json.loads(body)["password"] if body else "nothing",
    }


WRITINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "escaped for a URL": lambda value: "".join(f"%{ord(c):02X}" for c in value),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 of a pair": lambda value: base64.b64encode(f"user:{value}".encode()).decode(),
    "hexadecimal": lambda value: value.encode().hex(),
    "escaped for JSON": lambda value: "".join(f"\\u{ord(c):04x}" for c in value),
}


@pytest.mark.parametrize("place", ["query", "header Authorization", "cookie", "header X-Api-Key", "body"])
def test_a_secret_of_each_place(application, place):
    application.writes = lambda told, request, body: {**told, "more": f"x={canary(request, body)[place]};"}
    measured, judgement = followed(application)
    assert judgement.verdict is Verdict.FAIL
    assert f"what the request carried in the {place} is in the log" in judgement.reason
    assert measured.hops[0].logs[0].secrets == (f"the {place}",)
    for request in application.seen:
        assert request[2]["X-Api-Key"] not in repr(measured)


@pytest.mark.parametrize("writing", WRITINGS.values(), ids=WRITINGS)
def test_a_secret_in_each_writing(application, writing):
    application.writes = lambda told, request, body: (
        json.dumps(told) + f"\nsession of another line: {writing(canary(request, body)['cookie'])}\n"
    )
    assert "carried in the cookie" in followed(application)[1].reason


def test_a_secret_in_a_further_file(application):
    more = application.log.with_name("error.log")
    more.touch()

    def write(told: dict[str, object], request: BaseHTTPRequestHandler, body: str) -> object:
        more.write_text(f"cannot parse {body}\n")
        return told

    application.writes = write
    judgement = followed(application, hop={"more_files": [str(more)]})[1]
    assert f"{more}: what the request carried in the body is in the log" in judgement.reason


def test_what_the_request_logs_in_with_is_looked_for(application, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "correct-horse-battery")
    application.writes = lambda told, request, _: {**told, "login": request.headers["Authorization"]}
    request = {"url": application.url, "token": "env:API_TOKEN"}
    judgement = followed(application, request=request)[1]
    assert "what the request carried in the login is in the log" in judgement.reason
    assert application.seen[0][2]["Authorization"] == "Bearer correct-horse-battery"


def test_a_busy_log(application):
    """Ten thousand other lines, some with escaped letters, and one with a secret."""
    other = "".join(json.dumps({"path": f"/{n}", "agent": "other"}) + "\n" for n in range(5000))

    def write(told: dict[str, object], request: BaseHTTPRequestHandler, body: str) -> str:
        secret = json.dumps({"said": canary(request, body)["header X-Api-Key"].encode().hex()})
        return f'{other}{json.dumps(told)}\n{{"path": "/%41"}}\n{secret}\n'

    application.writes = write
    measured, judgement = followed(application, within="5s")
    assert "carried in the header X-Api-Key" in judgement.reason
    (log,) = measured.hops[0].logs
    assert [line.request for line in log.lines] == ["request", "post"]
    assert log.others == 10_004


ABSENT: dict[str, tuple[Callable[..., object], Verdict, str]] = {
    "nothing": (
        lambda *_: None,
        Verdict.FAIL,
        "the GET and POST requests are not in it after 1 s, nor is anything else",
    ),
    "others only": (lambda *_: "another line\n", Verdict.FAIL, "while 2 other lines were logged"),
    "half a line": (
        lambda told, *_: json.dumps(told)[:-10] + str(told["agent"]),
        Verdict.INCONCLUSIVE,
        "its line has no end",
    ),
    "binary": (
        lambda told, *_: f"\0\1{told['agent']}\x02\n",
        Verdict.INCONCLUSIVE,
        "another form than declared; it is like: ??a/",
    ),
    "no POST": (
        lambda told, *_: told if told["method"] == "GET" else None,
        Verdict.FAIL,
        "the POST request is not in it",
    ),
}


@pytest.mark.parametrize(("writes", "verdict", "says"), ABSENT.values(), ids=ABSENT)
def test_a_request_that_is_not_there(application, writes, verdict, says):
    application.writes = writes
    judgement = followed(application)[1]
    assert (judgement.verdict, says in judgement.reason) == (verdict, True), judgement.reason


def test_a_line_that_comes_late(application):
    def later(told: dict[str, object], *_: object) -> None:
        def write() -> None:
            time.sleep(0.7)
            with application.log.open("a") as opened:
                opened.write(json.dumps(told) + "\n")

        threading.Thread(target=write).start()

    application.writes = later
    measured, judgement = followed(application, within="10s")
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert measured.hops[0].logs[0].lines[0].after_s > 0.5


def test_a_rotation_while_it_is_followed(application):
    def write(told: dict[str, object], *_: object) -> object:
        if told["method"] == "GET":
            return told
        application.log.rename(f"{application.log}.2")
        application.log.touch(mode=0o640)
        return told

    application.writes = write
    assert followed(application)[1].verdict is Verdict.PASS


def test_a_front_that_is_down(application):
    said = section(application)
    application.server.shutdown()
    application.server.server_close()
    judgement = judge.judge(probe.follow(said, {}), said)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "the request was not answered, so it says nothing about logs" in judgement.reason


def test_a_front_that_answers_otherwise(application):
    application.status = 403
    application.writes = lambda *_: None
    judgement = followed(application)[1]
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "answered with 403, expected is 200" in judgement.reason


def test_a_redirect_is_not_followed(application):
    application.status = 302
    assert (
        followed(
            application,
            request={"url": application.url, "status": 302},
            post={"url": application.url, "status": 302},
        )[1].verdict
        is Verdict.PASS
    )
    assert len(application.seen) == 2


def test_a_unit_that_is_in_no_journal(application):
    judgement = followed(application, hop={"file": None, "journal": "nginx.service"})[1]
    # Where a journal runs, nothing of this unit is in it.
    journal = Path("/run/systemd/journal/socket").exists()
    assert judgement.verdict is (Verdict.FAIL if journal else Verdict.INCONCLUSIVE)
    assert "journal" in judgement.reason


def test_a_host_over_ssh_that_the_inventory_names(application, tmp_path):
    with serving(tmp_path) as connection:
        host = Host(name="web1", connection=connection)
        said = section(application, hop={"connection": None, "hosts": ["web1"]}, timeout="60s")
        judgement = judge.judge(probe.follow(said, {"web1": host}), said)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert any(reading.name == f"web1:{application.log}: mode" for reading in judgement.readings)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as there:
            if there.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the server did not start")


def test_nginx_behind_haproxy(application, tmp_path):
    """Three hops: HAProxy's own HTTP format on its standard output, nginx's with a buffer, and the application."""
    haproxy, nginx = shutil.which("haproxy", path=_PATH), shutil.which("nginx", path=_PATH)
    if haproxy is None or nginx is None:
        pytest.skip("there is no haproxy or nginx here")
    outer, inner = _free_port(), _free_port()
    form = '$remote_addr - $remote_user [$time_local] "$request_method $uri" $status $request_time "$http_user_agent"'
    temporary = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    web, balancer = tmp_path / "nginx.log", tmp_path / "haproxy.log"
    for log in (web, balancer):
        log.touch(mode=0o600)
        Path(f"{log}.1").touch()
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr crit; events {{}}\n"
        f"http {{ {temporary} log_format main '{form}'; access_log {web} main buffer=8k flush=500ms;\n"
        f"server {{ listen 127.0.0.1:{inner}; location / {{ proxy_pass {application.url.removesuffix('/page')}; }} }} }}\n"
    )
    (tmp_path / "haproxy.cfg").write_text(
        "global\n log stdout format raw daemon\ndefaults\n mode http\n log global\n option httplog\n"
        " timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
        f"frontend in\n bind 127.0.0.1:{outer}\n default_backend out\nbackend out\n server web 127.0.0.1:{inner}\n"
    )
    hops = [
        {"name": "balancer", "file": str(balancer), "format": "haproxy", "zone": _own_zone()},
        {"name": "web", "file": str(web), "nginx": form},
        {"name": "application", "file": str(application.log), "format": "json", "fields": FIELDS},
    ]
    said = AccessLogs.model_validate(
        {
            "request": {"url": f"http://127.0.0.1:{outer}/page"},
            "post": {"url": f"http://127.0.0.1:{outer}/page"},
            "hops": [{"connection": "local://", **hop} for hop in hops],
        }
    )
    with (
        balancer.open("ab") as out,
        subprocess.Popen([nginx, "-e", "stderr", "-p", tmp_path, "-c", tmp_path / "nginx.conf"]) as first,
        subprocess.Popen([haproxy, "-db", "-f", tmp_path / "haproxy.cfg"], stdout=out) as second,
    ):
        try:
            _wait(inner)
            _wait(outer)
            measured = probe.follow(said, {})
        finally:
            first.terminate()
            second.terminate()
    judgement = judge.judge(measured, said)
    # HAProxy logs the query, and nothing else of it.
    assert judgement.verdict is Verdict.FAIL
    assert judgement.reason.startswith(
        f"this host:{balancer}: what the request carried in the query is in the log"
    )
    lines = [[line.request for line in log.lines] for hop in measured.hops for log in hop.logs]
    assert lines == [["request", "post"]] * 3
    assert [bool(log.secrets) for hop in measured.hops for log in hop.logs] == [True, False, False]


def _own_zone() -> str:
    """Return the zone of this machine, which HAProxy logs in."""
    link = Path("/etc/localtime")
    if link.is_symlink() and "zoneinfo/" in str(link.readlink()):
        return str(link.readlink()).partition("zoneinfo/")[2]
    return "UTC"
