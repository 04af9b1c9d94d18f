"""Requests that are slow because of their connection are told apart from a server that stood still.

In a stall every connection is busy, so that requests open new ones there too: the two look alike in a count.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_deploygate.checks.load.facts import Floor, LoadRun
from pytest_deploygate.checks.load.judge import load as judge_load
from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.model import Judgement, Verdict

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SLOW_S = 0.8
LAST = 25
ONLY = "slow on new connections only"


@contextmanager
def serving(
    wait: Callable[[int, int, float], float], last: int = 10**6, tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Serve each connection in a thread, and close it after its `last` answer.

    `wait` gets the connection's number, the request's number on it (0: before the handshake) and the seconds since the
    first connection, and returns how many seconds to wait.
    """
    began: list[float] = []

    def serve(connection: socket.socket, number: int) -> None:
        time.sleep(wait(number, 0, time.monotonic() - began[0]))
        with tls.wrap_socket(connection, server_side=True) if tls else connection as channel:
            for request in range(1, last + 1):
                while not (said := channel.recv(4096)).endswith(b"\r\n\r\n"):
                    if not said:
                        return
                time.sleep(max(0.0, wait(number, request, time.monotonic() - began[0])))
                closing = GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
                channel.sendall(closing if request == last else GOOD)

    def quietly(connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            serve(connection, number)

    def accept() -> None:
        with suppress(OSError):
            for number in range(10**6):
                connection, _ = server.accept()
                began.append(time.monotonic())
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=quietly, args=(connection, number), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> ssl.SSLContext:
    key = tmp_path_factory.mktemp("tls") / "key"
    made = f"-newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {key} -out {key}.crt"
    named = ("-addext", "subjectAltName=DNS:localhost")
    subprocess.run(["openssl", "req", "-x509", *made.split(), *named], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{key}.crt", key)
    context.ca_file = Path(f"{key}.crt")  # type: ignore[attr-defined]
    return context


def run(port: int, ca_file: Path | None = None, **more: object) -> LoadRun:
    target: dict[str, object] = {"scheme": "http", "host": "127.0.0.1", "port": port}
    if ca_file:
        target |= {"scheme": "https", "host": "localhost", "connect_to": "127.0.0.1", "ca_file": str(ca_file)}
    load = Load.model_validate(
        {
            "allow": "x",
            "target": target,
            "endpoints": [{"path": "/"}],
            "peak_per_second": 100,
            "duration": "4s",
            "limits": {"p50": "200ms", "p99": "500ms"},
        }
        | more
    )
    return send(load, "x", calibrate=False)


def judged(found: LoadRun) -> Judgement:
    """Judge p99 at 500 ms as if the client were calibrated, which this machine may be too busy for."""
    criterion = judge_load.Criterion(found.whole.name, 0.99, 0.5, 0.05, 0.05)
    calm = replace(found.client, kept=1.0, lag_p99_s=0.0, floor=Floor(100, 100.0, 0.0002, 0.0005))
    return judge_load.judge_latency(replace(found, client=calm), criterion)


@pytest.mark.parametrize("endpoint", [{}, {"method": "POST", "body": ""}])
def test_the_first_request_of_each_connection(endpoint):
    """Each connection serves 25 requests, of which the first takes 800 ms: 4 % are slow."""
    with serving(lambda _n, request, _t: SLOW_S if request == 1 else 0.0, last=LAST) as port:
        found = judged(run(port, endpoints=[{"path": "/"} | endpoint]))
    assert found.verdict is Verdict.FAIL, found.reason
    assert ONLY in found.reason
    assert "p50 80" in found.reason  # 800 to 809 ms
    assert "look at what a new connection waits for" in found.reason
    assert "stalled" not in found.reason


def test_a_slow_handshake(tls):
    """The handshake is named as what takes the time."""
    with serving(lambda _n, request, _t: SLOW_S if request == 0 else 0.0, last=LAST, tls=tls) as port:
        found = judged(run(port, tls.ca_file))
    assert found.verdict is Verdict.FAIL, found.reason
    assert ONLY in found.reason
    assert "of which TLS handshake 8" in found.reason


def test_only_when_the_run_begins():
    """Connections are kept for good, so all that is slow is in the first second: no stall."""
    with serving(lambda _n, request, _t: SLOW_S if request == 1 else 0.0) as port:
        found = judged(run(port))
    assert found.verdict is Verdict.FAIL, found.reason
    assert ONLY in found.reason


def test_a_tenth_of_new_connections_is_not_all_of_them():
    with serving(lambda n, request, _t: SLOW_S if request == 1 and n % 10 == 9 else 0.0, last=5) as port:
        found = judged(run(port))
    assert ONLY not in found.reason + str(found.notes)


def test_a_server_that_stands_still_is_said_to_have_stalled():
    """For one second nothing is answered, on new connections and kept ones alike."""
    with serving(lambda _n, request, at: 3.0 - at if request and 2.0 <= at < 3.0 else 0.0) as port:
        found = judged(run(port))
    assert found.verdict is Verdict.FAIL, found.reason
    assert "the server stalled then" in found.reason
    assert ONLY not in found.reason + str(found.notes)


@pytest.mark.parametrize(
    ("wait", "last"),
    [
        (lambda _n, request, _t: SLOW_S if request else 0.0, 10**6),
        (lambda _n, request, _t: SLOW_S if request else 0.0, 1),
        (lambda _n, request, _t: SLOW_S if request and request % 3 == 0 else 0.0, 10**6),
    ],
    ids=["all are slow", "all are slow, each on a connection of its own", "every third of a connection"],
)
def test_slow_otherwise(wait, last):
    with serving(wait, last=last) as port:
        found = judged(run(port, duration="3s"))
    assert found.verdict is Verdict.FAIL, found.reason
    assert ONLY not in found.reason + str(found.notes)


@pytest.mark.parametrize("last", [10**6, 5])
def test_quick_on_all_connections(last):
    with serving(lambda _n, _request, _t: 0.0, last=last) as port:
        found = judged(run(port, duration="6s"))
    assert found.verdict is Verdict.PASS, found.reason
    assert ONLY not in str(found.notes)
