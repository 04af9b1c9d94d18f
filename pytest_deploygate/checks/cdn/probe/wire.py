"""One request to the CDN, as it is: no coding is undone, no path is tidied, no header is merged."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pytest_deploygate.checks.cdn.section import Cdn
from pytest_deploygate.clients import reach, stopping
from pytest_deploygate.clients.deadline import Deadline, end
from pytest_deploygate.clients.http import sending
from pytest_deploygate.clients.tls.client_context import client_context
from pytest_deploygate.lazy import dataclass

#: What browsers take.
BROWSER = "gzip, deflate, br, zstd"


@dataclass(frozen=True)
class Answer:
    """An answer as it came. Names of headers are in lower case; `whole` is false if the body was cut at its limit."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    whole: bool
    at_s: float

    def all(self, name: str) -> list[str]:
        """Return the values of all lines of a header."""
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str:
        """Return a header's value, its lines joined with commas (RFC 9110, section 5.3); empty without it."""
        return ", ".join(self.all(name))


class NoAnswer(Exception):  # noqa: N818 (it is a value in most places)
    """Raised when a request got no answer; its text says why, for people."""


class Refused(NoAnswer):
    """Raised when nothing listens at the address."""


class Unreadable(NoAnswer):
    """Raised when an answer came that is no whole HTTP."""


class Wire:
    """The way to the caches of one CDN. A request has a connection of its own."""

    def __init__(self, cdn: Cdn) -> None:
        self._timeout_s = cdn.timeout.total_seconds()
        self._roots = cdn.ca_file
        self._largest = cdn.largest
        self._addresses = tuple(cdn.addresses)

    def addresses(self, url: str) -> tuple[str, ...]:
        """Return the addresses of the CDN, those of its name if the inventory names none. Raises NoAnswer."""
        if self._addresses:
            return self._addresses
        parts = urlsplit(url)
        try:
            return reach.addresses(parts.hostname or "", _port(parts))
        except OSError as error:
            raise NoAnswer(sending.why(error)) from None

    def send(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        method: str = "GET",
        address: str | None = None,
        body: bytes | None = None,
        roots: Path | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Send a request. A header whose value is empty is not sent. Raises NoAnswer.

        `address` is where to connect to; without it, the name's own. `check` raises if a probe must end: it is called once
        the connection can be cut, and once there is one to cut.
        """
        parts = urlsplit(url)
        place = address or parts.hostname or ""
        sent = {"Host": parts.netloc, "Accept": "*/*", "Accept-Encoding": BROWSER} | dict(headers)
        connection = _Connection(parts, place, self._timeout_s, roots or self._roots)
        try:
            with (
                reach.attempt(reach.at(place, connection.port)),
                stopping.cutting(lambda: end(connection.taken)),
                Deadline(self._timeout_s).cutting(lambda: end(connection.taken)),
            ):
                check()
                connection.connect()
                check()
                return self._answer(connection, method, _target(parts), sent, body)
        except ConnectionRefusedError as error:
            raise Refused(sending.why(error)) from None
        except OSError as error:
            said = f"its certificate is not trusted: {error}" if _untrusted(error) else sending.why(error)
            raise NoAnswer(said) from None
        except (http.client.HTTPException, ValueError) as error:  # ValueError for a chunk of negative size
            raise Unreadable(sending.why(error)) from None
        finally:
            connection.close()

    def _answer(
        self,
        connection: _Connection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if value:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        at_s = time.time()
        got = answer.read(self._largest + 1)
        if len(got) <= self._largest and answer.length:
            raise http.client.IncompleteRead(got, answer.length)
        names = tuple((name.lower(), value) for name, value in answer.getheaders())
        return Answer(answer.status, names, got[: self._largest], len(got) <= self._largest, at_s)


class _Connection(http.client.HTTPConnection):
    """A connection to an address, with the name of the URL in TLS and trusted as an ordinary client trusts."""

    def __init__(self, parts: SplitResult, address: str, timeout_s: float, roots: Path | None) -> None:
        super().__init__(parts.hostname or "", _port(parts), timeout=timeout_s)
        self._address = address
        self._roots = roots
        self._tls = parts.scheme == "https"
        self._timeout_s = timeout_s
        self.taken: socket.socket | None = None

    def connect(self) -> None:
        """Connect to the address itself."""
        plain = socket.create_connection((self._address, self.port), timeout=self._timeout_s)
        self.sock = self.taken = plain
        if self._tls:
            self.sock = self.taken = client_context(self._roots).wrap_socket(plain, server_hostname=self.host)


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _untrusted(error: OSError) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" in str(error)
