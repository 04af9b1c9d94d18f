"""Answers that are hardly HTTP: no probe stops, and what is wrong with them is not said to be a lack of a connection."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.checks.pages import judge, probe
from pytest_deploygate.checks.pages.section import Maintenance, Pages, PolicyPage
from pytest_deploygate.checks.tls.probe import http_answers
from pytest_deploygate.checks.tls.probe.connection import Place
from pytest_deploygate.checks.tls.section.endpoints import Http
from pytest_deploygate.checks.uptime.probe import ask
from pytest_deploygate.checks.uptime.section import WatchTarget
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http import health
from pytest_deploygate.fields.health import HealthCheck
from pytest_deploygate.model import Verdict

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = b"Content-Length: 2\r\n\r\nhi"
#: What is sent, and what a health check says of it.
UNREADABLE = {
    "no HTTP": (b"hello\r\n\r\n", "is no HTTP that can be read (BadStatusLine: hello)"),
    "nothing": (b"", "the connection was closed without an answer"),
    "HTTP/2 in HTTP/1.1": (b"HTTP/2 200\r\n" + WHOLE, "no HTTP that can be read"),
    "no status": (b"HTTP/1.1 2xx OK\r\n\r\nhi", "no HTTP that can be read"),
    "300 headers": (OK + b"X-A: b\r\n" * 300 + WHOLE, "got more than 100 headers"),
    "a long header": (OK + b"X: " + b"a" * 70_000 + b"\r\n" + WHOLE, "LineTooLong"),
    "cut off": (OK + b"Content-Length: 20\r\n\r\nhi", "its answer broke off"),
    "a chunk of no size": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n", "its answer broke off"),
    "a chunk of negative size": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhi\r\n",
        "its answer cannot be read",
    ),
    "gzip that is none": (OK + b"Content-Encoding: gzip\r\n" + WHOLE, "its answer cannot be read"),
}
READABLE = {
    "bytes in a header": OK + b"X: \xff\r\nContent-Type: \xff\r\n" + WHOLE,
    "a header of 20 kB": OK + b"Content-Security-Policy: " + b"a" * 20_000 + b"\r\n" + WHOLE,
    "a header of 60 kB": OK + b"Content-Security-Policy: " + b"a" * 60_000 + b"\r\n" + WHOLE,
    "a charset that is no text": OK + b"Content-Type: text/html; charset=\xed\xa0\x80\r\n" + WHOLE,
    "an odd cookie": OK + b"Set-Cookie: \xff=;;;expires=xx\r\n" + WHOLE,
    "an age of 26 digits": OK + b"Cache-Control: max-age=99999999999999999999999999\r\n" + WHOLE,
    "a date that is none": OK + b"Expires: Mon, 99 Foo\r\nRetry-After: \xe9\r\n" + WHOLE,
    "the year 99999": OK + b"Expires: Thu, 01 Jan 99999 00:00:00 GMT\r\nRetry-After: Thu, 01 Jan 99999 00:00:00 GMT\r\n" + WHOLE,
    "an odd zone": OK + b"Expires: Thu, 01 Jan 2040 00:00:00 -9999\r\nRetry-After: Thu, 01 Jan 2040 00:00:00 -9999\r\n" + WHOLE,
}  # fmt: skip


@contextmanager
def saying(raw: bytes) -> Iterator[int]:
    """Send these bytes to whoever asks, and close."""

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(5)
            connection.recv(65536)
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    reach.begin()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def seen(port: int) -> tuple[Verdict, Verdict, health.Seen, ask.Answer, int]:
    """Return what the pages' judges, a health check, a watch and 4 requests of a load make of it."""
    url = f"http://127.0.0.1:{port}/x"
    pages = Pages.model_validate({"timeout": "3s"})
    policy = PolicyPage.model_validate({"url": url})
    maintenance = Maintenance.model_validate({"url": url})
    checked = HealthCheck.model_validate({"name": "a", "url": url, "contains": "hi", "timeout": "3s"})
    watched = WatchTarget.model_validate({"name": "a", "url": url, "contains": "hi"})
    load = Load.model_validate(
        {
            "allow": "x",
            "target": {"scheme": "http", "host": "127.0.0.1", "port": port},
            "endpoints": [{"path": "/x", "contains": "hi"}],
            "peak_per_second": 20,
            "duration": "200ms",
        }
    )
    return (
        judge.judge_policy(probe.read(policy, pages), policy).verdict,
        judge.judge_maintenance(probe.reads(maintenance, pages), maintenance).verdict,
        health.look([checked])[0],
        asyncio.run(ask.ask(watched, 3.0)),
        send(load, "x", calibrate=False).whole.failed,
    )


@pytest.mark.parametrize("name", UNREADABLE)
def test_answers_that_cannot_be_read(name):
    """libcurl is more patient with headers and does not unpack, so its failures are not counted here."""
    raw, words = UNREADABLE[name]
    with saying(raw) as port:
        policy, maintenance, checked, watched, _ = seen(port)
    assert (policy, maintenance) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert not checked.good
    assert words in checked.said, checked.said
    assert not watched.up
    assert "no connection" not in checked.said + watched.why


@pytest.mark.parametrize("name", READABLE)
def test_answers_that_are_odd_but_whole(name):
    with saying(READABLE[name]) as port:
        policy, maintenance, checked, watched, failed = seen(port)
    assert policy in (Verdict.INCONCLUSIVE, Verdict.FAIL)  # two words are no policy
    assert maintenance is Verdict.FAIL  # 200 instead of 503
    assert checked.good, checked.said
    assert watched.up, watched.why
    assert failed == 0


@pytest.mark.parametrize("name", UNREADABLE)
def test_headers_of_answers_that_cannot_be_read(name):
    """What of these has a whole header is judged by it, whatever its body is."""
    with saying(UNREADABLE[name][0]) as port:
        found = http_answers.measure(
            Place("app.example.test", "127.0.0.1", port, None, 3.0),
            Http.model_validate({"redirect_port": port}),
        )
    assert found.plain or found.plain_problem
    if "BadStatus" in UNREADABLE[name][1] or name == "a chunk of negative size":
        assert "its answer is no HTTP that can be read" in found.plain_problem
