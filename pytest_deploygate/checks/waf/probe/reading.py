"""Reads answers of HTTP/1.1. Python's own parser reads headers as those of mail, which took half of our time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected
from io import BufferedReader

from pytest_deploygate.lazy import dataclass

_LINE, _HEADERS, _INTERIM = 65_536, 200, 20
_STATUS = re.compile(rb"HTTP/(\d\.\d) +(\d{3})(?:[ \r\n]|$)")
_CHUNK = re.compile(rb"\s*([0-9A-Fa-f]{1,16})\s*(?:;|\r|\n|$)")


@dataclass(frozen=True)
class Read:
    """An answer; of several headers of a name the last one. `closes`: nothing more can be read from its connection."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    closes: bool


def read(stream: BufferedReader, method: str, most: int) -> Read:
    """Read the answer to a request of this method, and at most so many bytes of its body.

    Raises OSError, RemoteDisconnected if there is none, and other HTTPExceptions for what is no HTTP.
    """
    for _ in range(_INTERIM):
        version, status = _status(stream)
        headers = _headers(stream)
        if status == 101 or status >= 200:
            break
    else:
        raise HTTPException("too many interim answers")
    wish = headers.get("connection", "").lower()
    closes = "close" in wish or (version == b"1.0" and "keep-alive" not in wish)
    if method == "HEAD" or status < 200 or status in (204, 304):
        return Read(status, headers, b"", closes)
    if headers.get("transfer-encoding", "").lower().endswith("chunked"):
        body, whole = _chunks(stream, most)
        return Read(status, headers, body, closes or not whole)
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return Read(status, headers, stream.read(most), closes=True)
    body = stream.read(min(int(length), most))
    return Read(status, headers, body, closes or len(body) < int(length))


def _line(stream: BufferedReader) -> bytes:
    line = stream.readline(_LINE + 1)
    if len(line) > _LINE:
        raise LineTooLong("line of an answer")
    return line


def _status(stream: BufferedReader) -> tuple[bytes, int]:
    line = _line(stream)
    if not line:
        raise RemoteDisconnected("closed without an answer")
    found = _STATUS.match(line)
    if not found or int(found[2]) < 100:
        raise BadStatusLine(repr(line[:80]))
    return found[1], int(found[2])


def _headers(stream: BufferedReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for _ in range(_HEADERS):
        line = _line(stream)
        if not line.strip(b"\r\n"):
            return headers
        text = line.decode("latin-1").rstrip("\r\n")
        if text[0] in " \t" and name:  # the old way to go on with a value
            headers[name] += f" {text.strip()}"
            continue
        name, colon, value = text.partition(":")
        name = name.strip().lower() if colon else ""
        if name:
            headers[name] = value.strip()
    raise HTTPException(f"more than {_HEADERS} headers")


def _chunks(stream: BufferedReader, most: int) -> tuple[bytes, bool]:
    """Return the body, and whether all of it was read."""
    body = b""
    while True:
        found = _CHUNK.match(_line(stream))
        if not found:
            raise IncompleteRead(body)
        size = int(found[1], 16)
        if not size:
            while _line(stream).strip(b"\r\n"):  # trailers
                pass
            return body, True
        part = stream.read(min(size, most - len(body)))
        body += part
        if len(part) < size:
            if len(body) < most:
                raise IncompleteRead(body)
            return body, False
        _line(stream)
