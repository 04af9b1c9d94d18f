"""Sockets on loopback that are open, full or silent, for tests of what the network lets through."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as there:
            there.bind(("::1", 0))
    except OSError:
        return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextlib.contextmanager
def listening(address: str = "127.0.0.1") -> Iterator[int]:
    """Take connections."""
    with socket.socket(_family(address)) as there:
        there.bind((address, 0))
        there.listen(100)
        yield there.getsockname()[1]


@contextlib.contextmanager
def full() -> Iterator[int]:
    """Listen with a full queue: further packets are dropped, as a filter does it."""
    with contextlib.ExitStack() as stack:
        there = stack.enter_context(socket.socket())
        there.bind(("127.0.0.1", 0))
        there.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(there.getsockname())
        yield there.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """Take packets over UDP and say nothing."""
    with socket.socket(type=socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        yield there.getsockname()[1]


@contextlib.contextmanager
def answering() -> Iterator[int]:
    """Answer each packet over UDP with itself."""
    with socket.socket(type=socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        over = threading.Event()

        def answer() -> None:
            there.settimeout(0.1)
            while not over.is_set():
                with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                    data, peer = there.recvfrom(4096)
                    there.sendto(data or b"?", peer)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield there.getsockname()[1]
        finally:
            over.set()
            thread.join()
