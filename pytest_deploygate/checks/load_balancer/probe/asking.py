"""One fresh connection to a balancer: every connection of this subject's active probes is made here."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable
from functools import cached_property
from urllib.parse import urlsplit

from pytest_deploygate.checks.load_balancer.section import Pool, split
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import reach, stopping
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.deadline import Deadline, end
from pytest_deploygate.clients.http import sending
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

TIMEOUT_S = 5.0
_MOST_BYTES = 65_536
_ITEM = "infra.load-balancer"


@dataclass(frozen=True)
class Answer:
    """What came back. `backend` is what the answer tells of its backend; empty if it tells nothing.

    `error` says what went wrong; `silent` if nothing came in time, `ours` if it never left our own side.
    """

    began: float
    ended: float
    status: int | None = None
    backend: str = ""
    cookies: str = ""
    error: str = ""
    silent: bool = False
    ours: bool = False
    size_bytes: int = 0


class Asker:
    """Asks one pool, each time over a new connection: the only place from which this subject sends anything to it.

    `use` says from which budget it draws; the first look at the balancer's addresses draws on none. Raises CannotTell for
    certificates that cannot be read.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._spending: Spending | None = None
        self.timeout_s = pool.timeout.total_seconds() if pool.timeout else TIMEOUT_S
        self._body = re.compile(pool.told_by.body) if pool.told_by.body else None
        parts = urlsplit(pool.url or f"tcp://{pool.tcp}")
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self._authority = parts.netloc
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._tls = self._context() if parts.scheme == "https" else None

    @cached_property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {
            "Host": self._authority,
            "Accept": "*/*",
            "Connection": "close",
            "Cache-Control": "no-store",
            **budgets.headers(_ITEM),
        } | sending.headers(self.pool)

    @property
    def itself(self) -> str:
        """The balancer's address as the pool names it."""
        return reach.at(self.host, self.port)

    def once(
        self,
        entry: str = "",
        *,
        path: str = "",
        more: dict[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Make one connection to an address of the balancer, and return what came. Raises Ended alone."""
        if self._spending is None:
            return self._once(entry, path, more, timeout_s)
        with self._spending.request(connects=True) as asked:
            answer = self._once(entry, path, more, timeout_s)
            # Errors are what this subject measures: they are judged by it, and by the control.
            asked.answered(answer.size_bytes, wrong=bool(answer.error))
            return answer

    def use(self, spending: Spending | None) -> None:
        """Draw on a budget from now on."""
        self._spending = spending

    def good(self, entry: str = "") -> bool:
        """Ask for something harmless, outside of the budget's own count: the control of a probe."""
        return not self._once(entry, "", None, None).error

    def _once(self, entry: str, path: str, more: dict[str, str] | None, timeout_s: float | None) -> Answer:
        began = time.monotonic()
        host, port = split(entry) if entry else (self.host, self.port)
        deadline = Deadline(timeout_s or self.timeout_s)
        connection: socket.socket | None = None
        try:
            connection = socket.create_connection((host, port), deadline.left_s())
            with deadline.cutting(lambda: end(connection)), stopping.cutting(lambda: end(connection)):
                return (
                    self._first_words(connection, began)
                    if self.pool.tcp
                    else self._request(connection, began, path, more)
                )
        except (OSError, http.client.HTTPException) as error:
            silent = isinstance(error, TimeoutError)
            said = deadline.said if silent else (sending.why(error) or type(error).__name__)
            ours = bool(reach.why_ours(error))
            return Answer(began, time.monotonic(), error=redact(said), silent=silent, ours=ours)
        finally:
            if connection is not None:
                connection.close()

    def _request(self, plain: socket.socket, began: float, path: str, more: dict[str, str] | None) -> Answer:
        found = http.client.HTTPConnection(self.host, self.port)
        found.sock = self._tls.wrap_socket(plain, server_hostname=self.host) if self._tls else plain
        try:
            found.putrequest("GET", path or self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in (self.headers | (more or {})).items():
                found.putheader(name, value)
            found.endheaders()
            answer = found.getresponse()
            body = answer.read(_MOST_BYTES)
            size_bytes = len(body)
            while part := answer.read(_MOST_BYTES):  # to its end
                size_bytes += len(part)
            if answer.length:  # a read of parts does not tell that the answer broke off
                raise http.client.IncompleteRead(b"", answer.length)
        finally:
            found.close()
        error = f"HTTP {answer.status}" if answer.status >= 500 else ""
        cookies = "; ".join(value.partition(";")[0] for value in answer.headers.get_all("Set-Cookie", []))
        told = self._backend(answer, body, cookies)
        return Answer(began, time.monotonic(), answer.status, told, cookies, error, size_bytes=size_bytes)

    def _backend(self, answer: http.client.HTTPResponse, body: bytes, cookies: str) -> str:
        told = self.pool.told_by
        if told.header:
            return (answer.headers.get(told.header) or "").strip()
        if told.cookie:
            pairs = [pair.strip().partition("=") for pair in cookies.split(";")]
            return next((value for name, _, value in pairs if name == told.cookie), "")
        return self._in(body)

    def _in(self, body: bytes) -> str:
        if self._body is None:
            return ""
        found = self._body.search(body.decode(errors="replace"))
        return (found[1] or "").strip() if found else ""

    def _first_words(self, plain: socket.socket, began: float) -> Answer:
        if self.pool.sends is not None:
            plain.sendall(self.pool.sends.encode())
        # A pool whose answers tell nothing may belong to a protocol in which the client speaks first.
        if self.pool.told_by.counters and self.pool.sends is None:
            return Answer(began, time.monotonic())
        words = plain.recv(_MOST_BYTES)
        error = "" if words else "the connection was closed without a word"
        return Answer(began, time.monotonic(), backend=self._in(words), error=error)

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(self.pool.ca_file) if self.pool.ca_file else None)
        except OSError as error:
            raise CannotTell(
                f"{self.pool.ca_file} cannot be used as certificates to trust: {error}"
            ) from None


def named(pool: Pool) -> Callable[[str], str]:
    """Return the function from what an answer tells to a backend's name; a stranger keeps what it tells."""
    names = {each.tells or each.name: each.name for each in pool.backends}
    return lambda told: names.get(told, told)
