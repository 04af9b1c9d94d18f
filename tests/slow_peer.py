"""A peer on loopback that answers at once with a beginning, and then with one byte at a time, forever."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Iterator

STEP_S = 0.1


@contextlib.contextmanager
def dripping(
    begins: bytes = b"", drips: bytes = b"x", *, tls: ssl.SSLContext | None = None, waits: bool = True
) -> Iterator[int]:
    """Yield the port. With `waits` the peer first reads what the client says. TLS is between us and the drops."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(plain)
            with tls.wrap_socket(plain, server_side=True) if tls else plain as client:
                if waits:
                    client.recv(65536)
                client.sendall(begins)
                for byte in itertools.cycle(drips):
                    if over.wait(STEP_S):
                        return
                    client.sendall(bytes([byte]))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
