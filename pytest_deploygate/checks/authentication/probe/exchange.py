"""Requests to the platform over kept connections: what is sent is what was meant, and every header of an answer is kept."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from pytest_deploygate.checks.authentication.section import Authentication
from pytest_deploygate.clients import reach, stopping
from pytest_deploygate.clients.budget import AGENT, HEADER, Spending
from pytest_deploygate.clients.deadline import Deadline, end
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: More of a body is not looked at.
_MOST_BYTES = 2_000_000
_OWN_ERROR = 500
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """What came back, with each header as it was sent; `problem` says why nothing did. `took_s` ends with the whole body."""

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    took_s: float = 0.0
    problem: str = ""

    def every(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    def header(self, name: str) -> str:
        """Return the first value of a header; empty without it."""
        return next(iter(self.every(name)), "")

    @property
    def good(self) -> bool:
        """Whether its status is 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def redirects(self) -> bool:
        """Whether it sends the client elsewhere."""
        return self.status in (301, 302, 303, 307, 308)

    @property
    def is_page(self) -> bool:
        """Whether its body is HTML."""
        return self.header("content-type").lower().startswith(("text/html", "application/xhtml"))

    @property
    def said(self) -> str:
        """The answer in words: its status and where it redirects to, or why there is none."""
        if self.status is None:
            return self.problem
        if self.redirects:
            return f"{self.status} to {urlsplit(self.header('location')).path or '/'}"
        return str(self.status)

    def json(self) -> Any:
        """Return the body as JSON. Raises ValueError."""
        return json.loads(self.body)

    def fields(self) -> dict[str, Any]:
        """Return the body's JSON object; empty if it is none."""
        with contextlib.suppress(ValueError):
            found = self.json()
            return found if isinstance(found, dict) else {}
        return {}


class Caller:
    """Sends requests, those of a thread over connections of its own. Every one draws on the budget."""

    def __init__(self, section: Authentication, spending: Spending) -> None:
        self.section, self.spending = section, spending
        self._timeout_s = section.timeout.total_seconds()
        self._context: ssl.SSLContext | None = None
        self._mine = threading.local()
        self._every: list[http.client.HTTPConnection] = []
        self._guard = threading.Lock()

    def url(self, place: str) -> str:
        """Return the address of a path on the platform; a URL stays what it is."""
        return urljoin(self.section.url.rstrip("/") + "/", place)

    def form(self, place: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        """Post a form."""
        sent = {"Content-Type": FORM, **(headers or {})}
        return self.ask("POST", place, sent, urlencode(fields).encode())

    def ask(
        self, method: str, place: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Send a request to a path or URL; redirects are not followed. A kept connection that was closed is opened again.

        Raises Ended, CannotTell if `ca_file` cannot be read.
        """
        sent = {**self.spending.headers, "Accept": "*/*", **(headers or {})}
        for kept in (True, False):
            answer, closed = self._once(method, self.url(place), sent, body, kept=kept)
            if not closed:
                return answer
        return answer

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, kept: bool
    ) -> tuple[Answer, bool]:
        connection, fresh = self._connection(url, kept=kept)
        size = len(url) + sum(len(name) + len(value) for name, value in headers.items()) + len(body or b"")
        with (
            self.spending.request(size, connects=fresh) as asked,
            stopping.cutting(lambda: end(connection.sock)),
        ):
            answer, closed = _exchange(connection, method, url, headers, body, self._timeout_s)
            asked.answered(len(answer.body), wrong=answer.status is None or answer.status >= _OWN_ERROR)
        return answer, closed and not fresh

    def _connection(self, url: str, *, kept: bool) -> tuple[http.client.HTTPConnection, bool]:
        """Return the thread's connection to a server, and whether it is still to be opened."""
        parts = urlsplit(url)
        held: dict[str, http.client.HTTPConnection] = self._mine.__dict__.setdefault("held", {})
        origin = f"{parts.scheme}://{parts.netloc}"
        connection = held.get(origin)
        if connection is None or not kept or connection.sock is None:
            if connection is not None:
                connection.close()
            connection = self._new(parts.scheme, parts.hostname or "", parts.port)
            held[origin] = connection
            with self._guard:
                self._every.append(connection)
            return connection, True
        return connection, False

    def _new(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=self._trust())
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)

    def _trust(self) -> ssl.SSLContext:
        with self._guard:
            if self._context is None:
                try:
                    self._context = ssl.create_default_context(cafile=self.section.ca_file)
                except (OSError, ssl.SSLError) as error:
                    raise CannotTell(
                        f"{self.section.ca_file} has no certificates that can be read: {error}"
                    ) from None
            return self._context

    def close(self) -> None:
        """Close all connections."""
        for connection in self._every:
            connection.close()


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout_s: float,
) -> tuple[Answer, bool]:
    """Return the answer, and whether the connection was closed in place of one."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    began = time.perf_counter()
    deadline = Deadline(timeout_s)
    try:
        with deadline.cutting(lambda: end(connection.sock)):
            connection.request(method, target, body, dict(headers))
            response = connection.getresponse()
            content = response.read(_MOST_BYTES)
            took_s = time.perf_counter() - began
            if not response.isclosed():  # more than is looked at
                connection.close()
        return Answer(response.status, tuple(response.getheaders()), content, took_s), False
    except TimeoutError:
        connection.close()
        return Answer(None, problem=f"no whole answer within {timeout_s:g} s"), False
    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
        connection.close()
        return Answer(None, problem="the connection was closed without an answer"), True
    except http.client.HTTPException as error:
        connection.close()
        said = f"its answer is no HTTP that can be read ({type(error).__name__})"
        return Answer(None, problem=said), False
    except OSError as error:
        connection.close()
        return Answer(None, problem=_why(error)), False


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if reach.refused(error):
        return "no connection (connection refused: nothing listens there)"
    return reach.why_ours(error) or (error.strerror or str(error) or type(error).__name__).lower()


def alive(section: Authentication, item: str) -> bool:
    """Ask for the platform's first page, uncounted: the control of the budget. Any answer below 500 is a good one."""
    parts = urlsplit(section.url)
    timeout_s = section.timeout.total_seconds()
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=section.ca_file)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout_s, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        own = {"User-Agent": AGENT, HEADER: item}
        answer, _ = _exchange(connection, "GET", section.url.rstrip("/") + "/", own, None, timeout_s)
    finally:
        connection.close()
    return answer.status is not None and answer.status < _OWN_ERROR
