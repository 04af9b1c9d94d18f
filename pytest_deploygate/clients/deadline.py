"""One deadline for a whole answer. A socket's own timeout begins anew with each byte, so a slow peer can defeat it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator


class Deadline:
    """A point in time, `limit_s` seconds from now."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.until = time.monotonic() + limit_s

    @property
    def over(self) -> bool:
        """True once the time has passed."""
        return time.monotonic() >= self.until

    @property
    def said(self) -> str:
        """What did not come in time, in words."""
        return f"no whole answer within {self.limit_s:g} s"

    def left_s(self) -> float:
        """Return the seconds that are left. Raises TimeoutError if there are none."""
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(self.said)
        return left_s

    def receive(self, connection: socket.socket, size: int) -> bytes:
        """Receive what has come, at most `size` bytes. Raises TimeoutError when the time is over, OSError."""
        connection.settimeout(self.left_s())
        return connection.recv(size)

    @contextlib.contextmanager
    def cutting(self, cut: Callable[[], object]) -> Iterator[None]:
        """Call `cut` in another thread if the block has not ended by then: for libraries that read by themselves.

        Raises TimeoutError if the block ended too late, in place of the error that the cut caused.
        """
        timer = threading.Timer(max(0.0, self.until - time.monotonic()), cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if self.over:
                raise TimeoutError(self.said) from error
            raise
        finally:
            timer.cancel()
        self.left_s()


def end(connection: socket.socket | None) -> None:
    """Let everything that reads from a socket, or writes to it, in any thread, end at once."""
    if connection is not None:
        with contextlib.suppress(OSError):  # it is closed already
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
