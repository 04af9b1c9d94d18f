"""Servers of HTTP/1.0, and answers that break off: each reader sees what is there, and takes no half for the whole."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from pytest_deploygate.checks.dns.probe.standby import standby_health
from pytest_deploygate.checks.dns.section import DnsName
from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.checks.pages import probe as pages
from pytest_deploygate.checks.pages.section import Pages, PublicPage
from pytest_deploygate.checks.uptime.probe import ask
from pytest_deploygate.checks.uptime.section import WatchTarget
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http import health
from pytest_deploygate.fields.health import HealthCheck

BODY = b"the system is ready"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
#: Whole answers (RFC 1945, and what servers of that time made of it).
WHOLE = {
    "ends with the connection": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "has a length": b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "without a phrase": b"HTTP/1.0 200\r\nContent-Type: text/plain\r\n\r\n" + BODY,
    "says close": b"HTTP/1.0 200 OK\r\nConnection: close\r\n" + LENGTH + b"\r\n" + BODY,
    "says keep-alive and closes": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + LENGTH + b"\r\n" + BODY,
    "lines end without CR": b"HTTP/1.0 200 OK\nContent-Type: text/plain\n\n" + BODY,
    "1.1 without a length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
}
#: No good answer: half of one, none at all, or one of HTTP/0.9, which has neither status nor header.
HALF = {
    "cut before its length": b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n" + BODY,
    "no word of it": b"",
    "0.9": BODY,
    "an error": b"HTTP/1.0 503 Service Unavailable\r\n\r\n" + BODY,
    "a chunk that breaks off": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"
    % (len(BODY), BODY),
}
#: libcurl and Python take the end of the connection for the end of the header. Only expected words tell.
NO_HEADER = b"HTTP/1.0 200 OK\r\nContent-Le"


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Answer each request with these bytes and close the connection; yield the port."""
    reach.begin()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.settimeout(5)
            asked = b""
            while b"\r\n\r\n" not in asked and (part := client.recv(4096)):
                asked += part
            client.sendall(answer)
            client.shutdown(socket.SHUT_WR)
            client.recv(1)  # until the other side closes too

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def seen(port: int) -> dict[str, bool]:
    """Return which readers take the answer for a good one, by its status and by its words."""
    where = f"http://127.0.0.1:{port}/"
    found = {}
    for how, words in (("status", {}), ("words", {"contains": BODY.decode()})):
        load = Load.model_validate(
            {
                "allow": "x",
                "target": {"scheme": "http", "host": "127.0.0.1", "port": port},
                "endpoints": [{"path": "/"} | words],
                "peak_per_second": 20,
                "duration": "500ms",
            }
        )
        sent = send(load, "x", calibrate=False)
        assert sent.whole.requests
        assert sent.whole.failed in (0, sent.whole.requests)
        found[f"load by {how}"] = sent.whole.failed == 0
        watched = WatchTarget.model_validate({"name": "a", "url": where} | words)
        found[f"watch by {how}"] = asyncio.run(up(watched))
        checked = HealthCheck.model_validate({"name": "a", "url": where} | words)
        found[f"health by {how}"] = health.look([checked])[0].good
        name = {"name": "app.example.test", "addresses": ["192.0.2.10"]}
        standby = {"address": "127.0.0.1", "port": port, "tls": False} | words
        at = standby_health(DnsName.model_validate(name | {"standby": standby}), 5)
        assert at is not None
        found[f"standby by {how}"] = at.status == 200 and not at.lacking
    page = pages.read(PublicPage.model_validate({"url": where}), Pages())
    found["page"] = page.status == 200 and not page.problem and BODY.decode() in page.text
    return found


async def up(target: WatchTarget) -> bool:
    return (await ask.ask(target, 5)).up is True


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers(name: str) -> None:
    with answering(WHOLE[name]) as port:
        found = seen(port)
    assert all(found.values()), found


@pytest.mark.parametrize("name", HALF)
def test_what_is_no_whole_and_good_answer(name: str) -> None:
    with answering(HALF[name]) as port:
        found = seen(port)
    assert not any(found.values()), found


def test_a_header_that_breaks_off_has_no_words() -> None:
    with answering(NO_HEADER) as port:
        found = seen(port)
    assert not any(good for how, good in found.items() if how.endswith("words") or how == "page"), found
