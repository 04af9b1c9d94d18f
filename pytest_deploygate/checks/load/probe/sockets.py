"""libcurl's transfers on epoll, woken to the microsecond: `select` on epoll's own descriptor is more precise than
epoll itself, whose timeout is in milliseconds.
"""

from __future__ import annotations

import contextlib
import select
from time import perf_counter

import pycurl

_EVENTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_ERROR = select.EPOLLERR | select.EPOLLHUP
#: Sockets per round; then finished transfers are timed, so that an answer is not late because of the ones after it.
_AT_ONCE = 8
#: A shorter wait counts as none.
_AT_ONCE_S = 0.0001
#: A transfer that ended: its handle, libcurl's code (0: success) and message.
Ended = tuple[pycurl.Curl, int, str]


class Sockets:
    """Runs handles concurrently: `begin` them, `wait`, then get those that `ended`."""

    def __init__(self, most_connections: int) -> None:
        self._epoll = select.epoll()
        self._known: set[int] = set()
        self._due: float | None = None
        self._looked = perf_counter()
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self.multi.setopt(pycurl.M_MAXCONNECTS, most_connections)

    def begin(self, curl: pycurl.Curl) -> None:
        """Start a transfer; it is sent with the next `kick`."""
        self.multi.add_handle(curl)

    def kick(self) -> None:
        """Send the transfers that were begun."""
        self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def wait(self, seconds: float) -> float:
        """Wait until something happens or the time is up, let libcurl handle it, and return when it happened.

        An event that was pending before the wait happened at any time since the last check: that time is then returned,
        so that our own delay is never attributed to the server.
        """
        if self._due is not None:
            seconds = min(seconds, self._due - perf_counter())
        entered = perf_counter()
        select.select([self._epoll], [], [], max(0.0, seconds))
        woke = perf_counter()
        happened, self._looked = woke if woke - entered > _AT_ONCE_S else self._looked, woke
        for descriptor, event in self._epoll.poll(0, _AT_ONCE):
            flags = (pycurl.CSELECT_IN if event & select.EPOLLIN else 0) | (
                pycurl.CSELECT_OUT if event & select.EPOLLOUT else 0
            )
            self.multi.socket_action(descriptor, flags | (pycurl.CSELECT_ERR if event & _ERROR else 0))
        if self._due is not None and woke >= self._due:
            self._due = None
            self.kick()
        return happened

    def ended(self) -> list[Ended]:
        """Return the transfers that ended; `drop` each, which parts it from its connection, before it begins again."""
        found: list[Ended] = []
        left = 1
        while left:
            left, good, bad = self.multi.info_read(500)
            found += [(curl, 0, "") for curl in good]
            found += [(curl, code, words) for curl, code, words in bad]
        return found

    def drop(self, curl: pycurl.Curl) -> None:
        """Take a transfer out of the loop; one that has not ended is aborted."""
        with contextlib.suppress(pycurl.error):
            self.multi.remove_handle(curl)

    def close(self) -> None:
        """Close all connections."""
        self.multi.close()
        self._epoll.close()

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        with contextlib.suppress(OSError):
            if what == pycurl.POLL_REMOVE:
                self._known.discard(descriptor)
                self._epoll.unregister(descriptor)
            elif descriptor in self._known:
                self._epoll.modify(descriptor, _EVENTS.get(what, 0))
            else:
                self._known.add(descriptor)
                self._epoll.register(descriptor, _EVENTS.get(what, 0))

    def _set_timer(self, milliseconds: int) -> None:
        self._due = None if milliseconds < 0 else perf_counter() + milliseconds / 1000
