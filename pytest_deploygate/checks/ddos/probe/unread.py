"""A slow reader: it asks for a large answer and does not read it, until its patience is over."""

from __future__ import annotations

import select
import socket
import time

from pytest_deploygate.checks.ddos.probe.exchange import status_of

#: Room for what is not read: little beside the answer, and more than one packet of loopback, or all would take minutes.
ROOM = 1 << 18
#: Kernels and proxies may hold some megabytes for a client that does not read.
_LARGE = 16_000_000
_READ = 1 << 16
_DRAIN_S = 10.0


def wait(there: socket.socket, began: float, within_s: float, path: str) -> tuple[float | None, int, str]:
    """Read nothing for a time, then all: an answer that ends early was cut, at some time before.

    Returns after how many seconds it was cut (None: not), the status of the answer, and why it is not known. A reset is
    seen when it happens. What was closed in an orderly way is seen only when it is read, and counts as cut by then.
    """
    poll = select.poll()
    poll.register(there, select.POLLERR | select.POLLHUP)
    while (left_s := began + within_s - time.monotonic()) > 0:
        if poll.poll(min(left_s, 0.5) * 1000):
            return time.monotonic() - began, 0, ""
    there.settimeout(_DRAIN_S)
    ends, got, read = time.monotonic() + _DRAIN_S, bytearray(), b""
    try:
        while b"\r\n\r\n" not in got and (read := there.recv(_READ)):
            got += read
        head, _, body = bytes(got).partition(b"\r\n\r\n")
        status, length, had = status_of(head), _length(head), len(body)
        while length is None or had < length:
            if not (read := there.recv(_READ)):
                return within_s, status, ""
            had += len(read)
            if time.monotonic() > ends:
                said = f"reading {path} took longer than {_DRAIN_S:g} s, so whether it was cut is unknown"
                return None, status, said
    except TimeoutError:
        return None, 0, ""  # held, and stuck
    except OSError:
        return within_s, 0, ""
    small = f"the answer to {path} has only {length >> 10} kB, which the buffers on the way hold: name one of 16 MB"
    return None, status, small if length < _LARGE else ""


def _length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return None
