"""The connections that libcurl keeps: which one a request is about to be sent on, and whether the server has closed it."""

from __future__ import annotations

import os
import select
import socket

import pycurl

#: The addresses and ports of both ends, as libcurl tells them before it sends a request: peer, own, peer's port, own port.
Ends = tuple[object, ...]


class Connections:
    """Descriptors of open connections by their ends. All requests of a run share them."""

    def __init__(self) -> None:
        self._by_ends: dict[Ends, int] = {}
        self._new: set[int] = set()

    def opened(self, descriptor: int, _purpose: int) -> int:
        """Remember a socket that libcurl has opened; it is not connected yet (for pycurl.SOCKOPTFUNCTION)."""
        self._new.add(descriptor)
        return int(pycurl.SOCKOPT_OK)

    def is_closed(self, ends: Ends) -> bool:
        """Tell whether the server has closed the connection with these ends; of an unknown one it has not.

        It is asked in the middle of libcurl's work, which may send a second request on a connection before anybody was
        told that the first one, which opened it, is over.
        """
        for descriptor in tuple(self._new):
            found = _ends(descriptor)
            if found is None:
                continue  # it is still connecting, or closed already
            self._new.discard(descriptor)
            self._by_ends[found] = descriptor
        descriptor = self._by_ends.get(ends, -1)
        if descriptor < 0:
            return False
        asked = select.poll()
        asked.register(descriptor, select.POLLRDHUP)
        return bool(asked.poll(0))


def _ends(descriptor: int) -> Ends | None:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as one:
            peer, own = one.getpeername(), one.getsockname()
    except OSError:
        return None
    return peer[0], own[0], peer[1], own[1]
