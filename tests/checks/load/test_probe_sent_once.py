"""Each request is sent once, and what was still open when a run ended is not forgotten.

libcurl sends a request again when a kept connection breaks before the answer begins, and tells nobody.
"""

from __future__ import annotations

import dataclasses
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from slow_server import Answer, serving

from pytest_deploygate.checks.load.judge import load as judge_load
from pytest_deploygate.checks.load.probe.engine import OPEN
from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.model import Verdict

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#: Closing a socket that lingers for no time sends a reset.
RESET = struct.pack("ii", 1, 0)
#: Answers whose connection this busy machine ended too late.
LATE: list[int] = []
Behave = Callable[[socket.socket, int], bool]


def resets(every: int) -> Behave:
    """Reset the connection instead of the answer to every n-th request."""

    def behave(connection: socket.socket, number: int) -> bool:
        if number % every == 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return False
        connection.sendall(GOOD)
        return True

    return behave


def closes(every: int) -> Behave:
    """Close the connection normally instead of the answer to every n-th request."""

    def behave(connection: socket.socket, number: int) -> bool:
        if number % every:
            connection.sendall(GOOD)
        return number % every != 0

    return behave


def cuts_off(every: int) -> Behave:
    """Send half of every n-th answer."""

    def behave(connection: socket.socket, number: int) -> bool:
        connection.sendall(GOOD if number % every else GOOD[:-1])
        return number % every != 0

    return behave


def closes_after(every: int) -> Behave:
    """Answer each request, and close the connection after every n-th answer, with the header that says so."""

    def behave(connection: socket.socket, number: int) -> bool:
        last = number % every == 0
        connection.sendall(GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") if last else GOOD)
        return not last

    return behave


def closes_unsaid(every: int) -> Behave:
    """The same without the header: the client sees it before it sends the next request there.

    Answer and end are one segment, or a busy machine could have the client's next request come between them. The kernel
    waits 200 ms for the end at most; each that came later is counted in LATE.
    """

    def behave(connection: socket.socket, number: int) -> bool:
        last = number % every == 0
        began = time.monotonic()
        if last:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.sendall(GOOD)
        if last:
            connection.shutdown(socket.SHUT_WR)
            if time.monotonic() - began > 0.15:
                LATE.append(number)
        return not last

    return behave


@contextmanager
def listening(behave: Behave) -> Iterator[tuple[int, list[bytes]]]:
    """Serve each connection in a thread; yield the port and the requests that arrived."""
    arrived: list[bytes] = []
    lock = threading.Lock()

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while first := lines.readline():
                length = 0
                while (line := lines.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                body = lines.read(length)
                with lock:
                    arrived.append(first + body)
                    number = len(arrived)
                if not behave(connection, number):
                    return

    def quietly(connection: socket.socket) -> None:
        with suppress(OSError):
            serve(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=quietly, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], arrived
        server.shutdown(socket.SHUT_RDWR)


def load_on(port: int, endpoint: dict[str, object], **more: object) -> Load:
    return Load.model_validate(
        {
            "allow": "x",
            "target": {"scheme": "http", "host": "127.0.0.1", "port": port},
            "endpoints": [{"path": "/"} | endpoint],
            "peak_per_second": 200,
            "duration": "2s",
        }
        | more
    )


@pytest.mark.parametrize("behave", [resets(20), resets(7), closes(20), cuts_off(20)])
@pytest.mark.parametrize("endpoint", [{}, {"method": "POST", "body": "a=1"}, {"method": "DELETE"}])
def test_a_broken_connection_is_a_failure(behave: Behave, endpoint: dict[str, object]) -> None:
    """Each request arrives once, and each that got no whole answer has failed."""
    with listening(behave) as (port, arrived):
        found = send(load_on(port, endpoint), "x", calibrate=False)
        assert found.whole.requests == len(arrived) == 400
        assert found.whole.failed == 400 // (7 if behave.__closure__[0].cell_contents == 7 else 20)
        assert set(found.whole.failures) <= {
            "kept connection closed or reset without an answer",
            "connection broken while reading",
            "connection closed without an answer",
            "answer cut off",
        }


@pytest.mark.parametrize("behave", [closes_after(5), closes_after(1), closes_unsaid(5), closes_unsaid(1)])
def test_a_connection_that_ends_after_an_answer_loses_nothing(behave: Behave) -> None:
    LATE.clear()
    with listening(behave) as (port, arrived):
        found = send(load_on(port, {"method": "POST", "body": "a=1"}), "x", calibrate=False)
        lost = sum(found.whole.failures.values())
        assert lost <= len(LATE), found.whole.failures
        assert len(arrived) >= 400 - lost


@pytest.mark.parametrize("method", [{"method": "POST", "body": "a=1"}, {}])
def test_bursts_lose_nothing_on_connections_that_end(method: dict[str, object]) -> None:
    """A client that stood still sends many at once: libcurl puts a request on a connection that has just been closed.

    The server answers each, and never sees a request on a connection that it closed.
    """
    over = threading.Event()
    usual = sys.getswitchinterval()

    def hog() -> None:
        while not over.wait(0.02):
            until = time.monotonic() + 0.06
            while time.monotonic() < until:
                pass

    busy = threading.Thread(target=hog, daemon=True)
    LATE.clear()
    sys.setswitchinterval(0.05)
    try:
        busy.start()
        with listening(closes_unsaid(1)) as (port, arrived):
            found = send(load_on(port, method, peak_per_second=400), "x", calibrate=False)
            lost = sum(found.whole.failures.values())
            assert lost <= len(LATE), found.whole.failures
            assert len(arrived) >= found.whole.requests - lost
    finally:
        sys.setswitchinterval(usual)
        over.set()
        busy.join()


def test_what_is_open_beyond_the_limit_when_the_run_is_stopped_is_over_it() -> None:
    """Every second request hangs, and the run is stopped after 3 s: those open for over 500 ms are slow, the rest unknown."""
    with serving(lambda n, _t: Answer(after_s=30.0 if n % 2 else 0.0)) as server:
        load = load_on(server.port, {}, duration="20s", timeout="15s")
        stops = iter(["", "", "enough"])
        found = send(load, "x", look=lambda _tally: next(stops))
    assert 0 < found.cut < 80
    assert found.whole.failures[OPEN] > 150
    # Other tests may keep the machine busy; what is asked here is how those that were open are counted.
    quick = dataclasses.replace(found.client, lag_p99_s=0.001, cpu_wait_share=0.0)
    found = dataclasses.replace(found, client=quick)
    p99 = next(c for c in judge_load.latency_criteria(found, load) if c.quantile == 0.99)
    judged = judge_load.judge_latency(found, p99)
    assert judged.verdict is Verdict.FAIL, judged.reason
    assert OPEN in judged.reason


def test_what_was_just_sent_when_the_run_is_stopped_is_unknown() -> None:
    """Answers take 300 ms, under p99: what was open for less than that is neither good nor bad."""
    with serving(lambda _n, _t: Answer(after_s=0.3)) as server:
        stops = iter(["", "enough"])
        found = send(
            load_on(server.port, {}, duration="20s"), "x", calibrate=False, look=lambda _tally: next(stops)
        )
    assert found.whole.failed == 0
    assert found.cut > 30
