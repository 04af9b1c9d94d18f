"""Answers are read as HTTP says, also odd ones, and as Python's own parser reads them."""

from __future__ import annotations

import http.client
import io

import pytest

from pytest_deploygate.checks.waf.probe import reading

MOST = 100
GOOD = {
    "with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "without a reason": b"HTTP/1.1 403\r\nContent-Length: 0\r\n\r\n",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX: y\r\n\r\n",
    "until the end": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "of 1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "of 1.0 that is kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    "that closes": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    "after an interim one": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "without content": b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
    "that is not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "with a folded header": b"HTTP/1.1 200 OK\r\nX-A: one\r\n  two\r\nContent-Length: 0\r\n\r\n",
    "with a header of other letters": "HTTP/1.1 200 OK\r\nX-A: Grüße\r\nContent-Length: 0\r\n\r\n".encode(),
}


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD)
def test_an_answer_is_read_as_pythons_parser_does(raw):
    class Socket:
        def makefile(self, _mode: str) -> io.BytesIO:
            return io.BytesIO(raw)

    other = http.client.HTTPResponse(Socket())
    other.begin()
    found = reading.read(stream(raw), "GET", MOST)
    assert (found.status, found.body) == (other.status, other.read())
    assert found.closes == bool(other.will_close)
    assert {name: " ".join(value.split()) for name, value in found.headers.items()} == {
        name.lower(): " ".join(value.split()) for name, value in other.headers.items()
    }


def stream(raw: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(raw))


def test_answers_on_one_connection_are_told_apart():
    both = stream(GOOD["in chunks"] + GOOD["with a length"])
    assert [reading.read(both, "GET", MOST).body for _ in range(2)] == [b"hello", b"hello"]


def test_an_answer_to_head_has_no_body():
    both = stream(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" * 2)
    assert [reading.read(both, "HEAD", MOST).body for _ in range(2)] == [b"", b""]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"a" * 500,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" + b"a" * 500 + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"32\r\n" + b"a" * 50 + b"\r\n" + b"ff\r\n" + b"a" * 255,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 500,
    ],
)  # fmt: skip
def test_of_a_long_body_the_beginning_is_read(raw):
    found = reading.read(stream(raw), "GET", MOST)
    assert (found.status, len(found.body), found.closes) == (200, MOST, True)


def test_a_body_that_is_cut_off_counts_with_its_status():
    found = reading.read(stream(b"HTTP/1.1 403 No\r\nContent-Length: 50\r\n\r\nblocked"), "GET", MOST)
    assert (found.status, found.body, found.closes) == (403, b"blocked", True)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", http.client.RemoteDisconnected),
        (b"SSH-2.0-OpenSSH\r\n", http.client.BadStatusLine),
        (b"HTTP/1.1 2000 OK\r\n\r\n", http.client.BadStatusLine),
        (b"HTTP/1.1 042 OK\r\n\r\n", http.client.BadStatusLine),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000, http.client.LineTooLong),
        (b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 300, http.client.HTTPException),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 30, http.client.HTTPException),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", http.client.IncompleteRead),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", http.client.IncompleteRead),
    ],
)
def test_what_is_no_answer(raw, error):
    with pytest.raises(error):
        reading.read(stream(raw), "GET", MOST)
