"""HTTP/2 servers that close a connection which a request is on its way to.

The server tells by GOAWAY which stream is the last that it looked at (RFC 9113, 6.8 and 8.7). A request after that was not
processed, and is sent again by every client. One that may have been processed is not, and has failed.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pycurl
import pytest

from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.section import Load

pytestmark = pytest.mark.skipif(
    not pycurl.version_info()[4] & pycurl.VERSION_HTTP2, reason="no HTTP/2 in this libcurl"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
NO_ERROR, INTERNAL_ERROR, REFUSED = 0, 2, 7
#: ":status: 200" is entry 8 of HPACK's static table.
STATUS_200 = b"\x88"
#: Closing a socket that lingers for no time sends a reset.
RESET = struct.pack("ii", 1, 0)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def goaway(last: int, error: int = NO_ERROR) -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack("!II", last, error))


ANSWER_3 = frame(HEADERS, END_HEADERS, 3, STATUS_200) + frame(DATA, END_STREAM, 3, b"ok")
#: What the server does with the second request of a connection, whose stream is 3: what it sends, and how it closes.
SAFE = {
    "goaway": (goaway(1), "closes"),
    "goaway, and the answer": (goaway(3) + ANSWER_3, "closes"),
    "goaway for all, and the answer": (goaway(2**31 - 1) + ANSWER_3 + goaway(3), "closes"),
    "refused": (frame(RST_STREAM, 0, 3, struct.pack("!I", REFUSED)), "stays"),
}
LOST = {
    "reset": (b"", "resets"),
    "closed": (b"", "closes"),
    "goaway for it": (goaway(3), "closes"),
    "goaway for it and reset": (goaway(3, INTERNAL_ERROR), "resets"),
    "goaway for an error of the connection": (goaway(1, INTERNAL_ERROR), "closes"),
    "goaway for all": (goaway(2**31 - 1), "closes"),
    "internal error": (frame(RST_STREAM, 0, 3, struct.pack("!I", INTERNAL_ERROR)), "stays"),
}


#: libcurl gives a request up which five connections refused; on a busy machine many requests share a connection, and one can
#: be that unlucky.
REFUSALS = 4


@contextmanager
def serving(said: bytes, then: str, times: int, bad: int) -> Iterator[tuple[int, Counter[int]]]:
    """Do this with stream `bad` of the first connections, so many `times`; answer the others.

    Yield the port and the streams that arrived, and under 0 how often it was done.
    """
    arrived: Counter[int] = Counter()
    lock = threading.Lock()

    def is_due(stream: int) -> bool:
        with lock:
            arrived[stream] += 1
            if stream != bad or arrived[0] == times:
                return False
            arrived[0] += 1
            return True

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as frames:
            if frames.read(len(PREFACE)) != PREFACE:
                return
            connection.sendall(frame(SETTINGS, 0, 0))
            while len(head := frames.read(9)) == 9:
                frames.read(int.from_bytes(head[:3], "big"))
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
                if kind == SETTINGS and not flags & ACK:
                    connection.sendall(frame(SETTINGS, ACK, 0))
                if kind != HEADERS:
                    continue
                if is_due(stream):
                    connection.sendall(said)
                    if then == "resets":
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    if then == "closes":
                        connection.shutdown(socket.SHUT_WR)
                        while frames.read(1):  # what is unread when a socket is closed makes a reset of it
                            pass
                    if then != "stays":
                        return
                else:
                    connection.sendall(
                        frame(HEADERS, END_HEADERS, stream, STATUS_200)
                        + frame(DATA, END_STREAM, stream, b"ok")
                    )

    def quietly(connection: socket.socket) -> None:
        with suppress(OSError):
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=quietly, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], arrived
        server.shutdown(socket.SHUT_RDWR)


def run(said: bytes, then: str, times: int, bad: int = 3):
    with serving(said, then, times, bad) as (port, arrived):
        load = Load.model_validate(
            {
                "allow": "x",
                "target": {"scheme": "http", "host": "127.0.0.1", "port": port, "http": "2"},
                "endpoints": [{"path": "/"}],
                "peak_per_second": 100,
                "duration": "1s",
                "stop_at_error_ratio": 1.0,
            }
        )
        return send(load, "x", calibrate=False), arrived


@pytest.mark.parametrize("name", SAFE)
def test_a_request_that_was_not_processed_is_sent_again(name):
    """And one that was answered is not."""
    found, arrived = run(*SAFE[name], REFUSALS)
    assert found.whole.requests == 100
    assert found.whole.failures == {}
    assert arrived.pop(0) == REFUSALS
    assert sum(arrived.values()) >= 100


def test_a_request_that_is_refused_again_and_again_says_so():
    """libcurl gives it up after five; here each stream is refused."""
    found, _ = run(frame(RST_STREAM, 0, 1, struct.pack("!I", REFUSED)), "stays", 10_000, bad=1)
    assert set(found.whole.failures) == {"refused by the server (HTTP/2) each time"}


@pytest.mark.parametrize("name", LOST)
def test_a_request_that_may_have_been_processed_has_failed(name):
    """None is sent twice. Others on their way over the same connection fail with it, so there may be more failures."""
    found, arrived = run(*LOST[name], 100)
    assert found.whole.requests == 100
    assert found.whole.failed >= arrived.pop(0) > 0
    assert sum(arrived.values()) <= 100
