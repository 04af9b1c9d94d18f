"""HTTP/2 as far as held connections need it: the frames that a slow client sends, and those that end its stream.

Sources: RFC 9113 (frames), RFC 7541 (headers as literals without an index, which every server must read).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pytest_deploygate.checks.ddos.probe.exchange import Target, connected

PROTOCOL = "HTTP/2"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 6, 7, 9
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
#: All that we send is one request, on the first stream of a client.
_STREAM = 1
#: More than the first frame of a server has.
_MOST = 4096


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    parts = (name.lower().encode(), value.encode())
    return b"\x00" + b"".join(_integer(len(part)) + part for part in parts)


def _integer(number: int) -> bytes:
    """Return a length (RFC 7541, 5.1, with a prefix of 7 bits)."""
    if number < 127:
        return bytes([number])
    found, number = [127], number - 127
    while number >= 128:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])


def opening(kind: str, target: Target) -> bytes:
    """Return what a slow client of a kind sends at once."""
    begin = _PREFACE + _frame(_SETTINGS, 0, 0)
    if kind == "silent":
        return begin
    sends_body = kind in ("body", "stalled-body")
    pseudo = {
        ":method": "POST" if sends_body else target.method,
        ":scheme": target.scheme,
        ":authority": target.host,
        ":path": target.path,
    }
    block = b"".join(_literal(name, value) for name, value in {**pseudo, **target.headers}.items())
    if kind == "headers":
        return begin + _frame(_HEADERS, _END_STREAM, _STREAM, block)
    if sends_body or target.body:
        flags = _END_HEADERS
        data = b"" if sends_body else _frame(_DATA, _END_STREAM, _STREAM, target.body.encode())
        return begin + _frame(_HEADERS, flags, _STREAM, block) + data
    return begin + _frame(_HEADERS, _END_HEADERS | _END_STREAM, _STREAM, block)


def drip(kind: str, number: int) -> bytes:
    """Return what it sends next."""
    if kind == "headers":
        return _frame(_CONTINUATION, 0, _STREAM, _literal(f"x-deploygate-{number}", "slow"))
    return _frame(_DATA, 0, _STREAM, b"a") if kind == "body" else b""


class Reader:
    """Reads the frames of a server from the bytes that come."""

    def __init__(self) -> None:
        self._bytes = b""
        #: Whether the server has ended the stream, or said that it closes the connection.
        self.stream_ended = False
        self.going_away = False
        self.speaks = False

    @property
    def unread(self) -> bytes:
        """The bytes of a frame that is not complete yet."""
        return self._bytes

    def take(self, read: bytes) -> bytes:
        """Take what came; return what must be answered: acknowledgements of settings and pings."""
        self._bytes += read
        return b"".join(self._answers())

    def _answers(self) -> Iterator[bytes]:
        while len(self._bytes) >= 9:
            length = int.from_bytes(self._bytes[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", self._bytes[3:9])
            if len(self._bytes) < 9 + length:
                return
            payload, self._bytes = self._bytes[9 : 9 + length], self._bytes[9 + length :]
            if kind == _SETTINGS:
                self.speaks = True
                if not flags & _ACK:
                    yield _frame(_SETTINGS, _ACK, 0)
            elif kind == _PING and not flags & _ACK:
                yield _frame(_PING, _ACK, 0, payload)
            elif kind == _GOAWAY:
                self.going_away = True
            elif stream == _STREAM and (
                kind == _RST_STREAM or (kind in (_DATA, _HEADERS) and flags & _END_STREAM)
            ):
                self.stream_ended = True


def speaks(target: Target) -> bool:
    """Tell whether a server answers in HTTP/2, as its TLS or by prior knowledge. Raises OSError and ValueError."""
    with connected(target, "h2") as there:
        chosen = getattr(there, "selected_alpn_protocol", None)
        if chosen is not None and chosen() != "h2":
            return False
        reader = Reader()
        there.sendall(opening("silent", target))
        try:
            while not reader.speaks and len(reader.unread) < _MOST and (read := there.recv(_MOST)):
                if not reader.unread and read.startswith(b"HTTP/"):
                    return False
                reader.take(read)
        except (TimeoutError, ConnectionError):
            return False
        return reader.speaks
