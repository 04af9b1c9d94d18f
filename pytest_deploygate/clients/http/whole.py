"""Requests whose whole answer (connection, header, redirects, body) has one deadline."""

from __future__ import annotations

import socket
import threading
from typing import Any
from weakref import WeakKeyDictionary

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.deadline import Deadline, end


class Overdue(requests.Timeout):
    """Raised when an answer did not end in time; its text is for people."""


class _Watched(Deadline):
    """A deadline that ends the connections of a request."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(limit_s)
        self._connecting: list[HTTPConnection] = []
        self._connected: list[socket.socket] = []
        self._timer = threading.Timer(limit_s, self.cut)
        self._timer.daemon = True
        self._timer.start()

    def connect(self, connection: HTTPConnection, begin: Any) -> None:
        """Connect, and keep the socket: `http.client` gives it away when the answer's header has come."""
        self._connecting.append(connection)  # the answer of a proxy is read before the connection is ready
        begin()
        if connection.sock is not None:
            self._connected.append(connection.sock)
        self.left_s()

    def done(self) -> None:
        """End the watch."""
        self._timer.cancel()

    def discard(self) -> None:
        """End the watch and close the connections: no answer will be read from them any more."""
        self.done()
        for connection in self._connecting:
            connection.close()
        for connected in self._connected:
            connected.close()

    def cut(self) -> None:
        """End what is read from the connections, in any thread."""
        for one in (*self._connected, *(connection.sock for connection in self._connecting)):
            end(one)


class _Adapter(HTTPAdapter):
    """Makes connections that a deadline watches."""

    def __init__(self, deadline: _Watched) -> None:
        self._pools = _pools(deadline)
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
        """Make the pools of connections to a proxy."""
        manager = super().proxy_manager_for(*args, **more)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(deadline: _Watched) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def connect(self) -> None:
            deadline.connect(self, super().connect)

    class Tls(HTTPSConnection):
        def connect(self) -> None:
            deadline.connect(self, super().connect)

        def _tunnel(self) -> None:
            super()._tunnel()
            # A proxy's answer that was cut looks whole. Python's ssl would leave the socket open that it cannot wrap then.
            deadline.left_s()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


class _Session(requests.Session):
    """A session that knows a redirect to what is no address by one error, whichever library looks at it first."""

    def resolve_redirects(self, *args: Any, **more: Any) -> Any:
        """Yield the answers to redirects. Raises requests.exceptions.InvalidURL, and as before."""
        try:
            yield from super().resolve_redirects(*args, **more)
        except ValueError as error:
            if not _is_unnamed(error):
                raise
            raise requests.exceptions.InvalidURL(str(error)) from error


def _is_unnamed(error: Exception) -> bool:
    """Tell an error about an odd answer that requests let pass, such as a chunk of negative size."""
    return isinstance(error, ValueError) and not isinstance(error, requests.RequestException)


_deadlines: WeakKeyDictionary[requests.Response, _Watched] = WeakKeyDictionary()
_PART = 65_536


def request(method: str, url: str, limit_s: float, **more: Any) -> requests.Response:
    """Send a request as `requests.request` does. Raises Overdue after `limit_s` seconds, requests.RequestException, OSError.

    `timeout` may bound the silence before each part besides. With `stream=True` only the header has come when it returns; `read` reads the body within the same time.
    """
    deadline = _Watched(limit_s)
    try:
        with stopping.cutting(deadline.cut), _Session() as session:
            adapter = _Adapter(deadline)
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            answer = session.request(method, url, **{"timeout": limit_s} | more)
    except Exception as error:
        deadline.discard()
        if deadline.over:
            raise Overdue(deadline.said) from None
        if _is_unnamed(error):
            raise requests.exceptions.ContentDecodingError(str(error)) from error
        raise
    if more.get("stream"):
        _deadlines[answer] = deadline
    else:
        deadline.done()
    if deadline.over:
        answer.close()
        deadline.discard()
        raise Overdue(deadline.said)
    return answer


def read(answer: requests.Response, most_bytes: int) -> tuple[bytes, bool]:
    """Return at most `most_bytes` of a streamed answer, and whether that was all. Raises Overdue, requests.RequestException."""
    deadline = _deadlines[answer]
    body = bytearray()
    try:
        with stopping.cutting(deadline.cut):
            part: bytes
            for part in answer.iter_content(_PART):
                body += part
                if len(body) > most_bytes:
                    return bytes(body[:most_bytes]), False
                deadline.left_s()
    except (requests.RequestException, OSError, ValueError) as error:
        deadline.discard()
        if deadline.over:
            raise Overdue(deadline.said) from None
        if _is_unnamed(error):
            raise requests.exceptions.ContentDecodingError(str(error)) from error
        raise
    finally:
        deadline.done()
    if deadline.over:
        raise Overdue(deadline.said)
    return bytes(body), True
