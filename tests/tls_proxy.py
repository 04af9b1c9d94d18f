"""A proxy on loopback before a TLS server of its own that misbehaves: what the server says is changed on the way."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

#: Changes what the server sends: the number of the connection and a record in, bytes out.
Change = Callable[[int, bytes], bytes]
WARNING = b"\x15\x03\x03\x00\x02\x01\x70"


@contextlib.contextmanager
def changing(server: int | Callable[[int], int], change: Change) -> Iterator[int]:
    """Yield the port of a proxy to the server at this port, which may depend on the connection's number. A change to nothing ends the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(number: int, client: socket.socket) -> None:
        port = server(number) if callable(server) else server
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as other:
            copying = threading.Thread(target=_copy, args=(client, other), daemon=True)
            copying.start()
            with contextlib.suppress(OSError), other.makefile("rb") as stream:
                while len(header := stream.read(5)) == 5:
                    record = header + stream.read(struct.unpack("!H", header[3:])[0])
                    if not (said := change(number, record)):
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        break
                    client.sendall(said)
            client.shutdown(socket.SHUT_RD)  # or the other thread would keep the connection open
            copying.join(5)

    def accept() -> None:
        with contextlib.suppress(OSError):
            number = 0
            while True:
                number += 1
                threading.Thread(target=serve, args=(number, listener.accept()[0]), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def with_wrong_signature(_number: int, record: bytes) -> bytes:
    """Change the last byte of the signature in ServerKeyExchange (RFC 5246 section 7.4.3)."""
    said, at = bytearray(record), 5
    while record[0] == 22 and at + 4 <= len(record):
        length = int.from_bytes(record[at + 1 : at + 4], "big")
        if record[at] == 12 and at + 4 + length <= len(record):
            said[at + 3 + length] ^= 1
        at += 4 + length
    return bytes(said)


def after_a_warning() -> Change:
    """Send a warning before the first record of each connection."""
    warned: set[int] = set()

    def change(number: int, record: bytes) -> bytes:
        first = number not in warned
        warned.add(number)
        return WARNING + record if first else record

    return change
