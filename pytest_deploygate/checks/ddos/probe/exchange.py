"""Sends one request over a kept connection, and the steady requests of the second source.

It runs here, and as text on hosts with a Python from 3.7 on, so it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import re
import socket
import ssl
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple  # noqa: UP035 (Python 3.7)

_MOST = 1 << 20
_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """Where requests go, from which address of ours (empty: the system's choice), and what a good answer is.

    `roots` is the text of the certificates to trust (PEM); empty: those of the system.
    """

    scheme: str
    name: str
    address: str
    port: int
    path: str
    method: str
    headers: Dict[str, str]  # noqa: UP006
    body: str
    status: List[int]  # noqa: UP006
    contains: List[str]  # noqa: UP006
    lacks: List[str]  # noqa: UP006
    matches: str
    source: str
    roots: str
    timeout_s: float

    @property
    def host(self) -> str:
        """The value of the header Host."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


#: sent, answered (times of `time.monotonic`), status, whether it was good, why there is no answer, Retry-After.
Outcome = Tuple[float, float, int, bool, str, str]  # noqa: UP006
#: Headers that tell of a limit (draft-ietf-httpapi-ratelimit-headers, and its forerunners).
TELLING = re.compile(r"(x-)?ratelimit(-\w+)?$", re.IGNORECASE)


def connected(target: Target, alpn: str = "http/1.1", timeout_s: float = 0.0) -> socket.socket:
    """Open a connection. Raises OSError."""
    source = (target.source, 0) if target.source else None
    there = socket.create_connection((target.address, target.port), timeout_s or target.timeout_s, source)
    there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if target.scheme != "https":
        return there
    try:
        context = ssl.create_default_context(cadata=target.roots or None)
        # As in our other clients: a root without an Authority Key Identifier is as good as for a browser.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        context.set_alpn_protocols([alpn])
        return context.wrap_socket(there, server_hostname=target.name)
    except (OSError, ValueError):
        there.close()
        raise


class Line:
    """One kept connection, which is opened again when it was closed."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._http: http.client.HTTPConnection | None = None
        self._used = False
        self.own, self.peer = "", ""
        self.told: List[str] = []  # noqa: UP006
        self.received = 0

    def ask(self, path: str = "", headers: Dict[str, str] | None = None) -> Outcome:  # noqa: UP006
        """Send the request, with another path or more headers if given. Never raises for what the other side does."""
        sent = time.monotonic()
        for _ in range(2):
            kept = self._used
            try:
                status, good, wait = self._once(path or self.target.path, headers or {})
                return sent, time.monotonic(), status, good, "", wait
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                # A kept connection may have been closed meanwhile, which says nothing about this request.
                if not (kept and isinstance(error, (ConnectionError, http.client.BadStatusLine))):
                    return sent, time.monotonic(), 0, False, _why(error), ""
        return sent, time.monotonic(), 0, False, "closed", ""

    @property
    def socket(self) -> socket.socket | None:
        """The open connection, if there is one."""
        return self._http.sock if self._http is not None else None

    def open(self) -> None:
        """Open the connection, if there is none. An error is left to the first request."""
        with contextlib.suppress(OSError, ValueError):
            self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        if self._http is None:
            there = connected(self.target)
            self.own, self.peer = there.getsockname()[0], there.getpeername()[0]
            self._http = http.client.HTTPConnection(
                self.target.name, self.target.port, timeout=self.target.timeout_s
            )
            self._http.sock = there
        return self._http

    def _once(self, path: str, more: Dict[str, str]) -> Tuple[int, bool, str]:  # noqa: UP006
        target = self.target
        kept = self._connect()
        headers = {"Host": target.host}
        headers.update(target.headers)
        headers.update(more)
        body = target.body.encode() if target.body else None
        kept.request(target.method, path, body, headers)
        answer = kept.getresponse()
        read = answer.read(_MOST)
        self.received = len(read)
        whole = answer.isclosed() or not answer.read(1)
        names = [name for name, _ in answer.getheaders() if TELLING.match(name)]
        self.told = [f"{name}: {answer.getheader(name)}" for name in names]
        if answer.will_close or not whole:
            self.close()
        self._used = self._http is not None
        return answer.status, is_good(target, answer.status, read), answer.getheader("Retry-After") or ""

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._http is not None:
            self._http.close()
        self._http, self._used = None, False


def is_good(target: Target, status: int, body: bytes) -> bool:
    """Tell whether an answer is the expected one."""
    text = body.decode(errors="replace")
    return (
        status in target.status
        and all(each in text for each in target.contains)
        and not any(each in text for each in target.lacks)
        and (not target.matches or re.search(target.matches, text) is not None)
    )


def status_of(read: bytes) -> int:
    """Return the status at the beginning of an answer; 0 if it is none."""
    words = read[:32].split()
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else 0


def _why(error: BaseException) -> str:
    if isinstance(error, socket.timeout):
        return "silent"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (ConnectionError, http.client.BadStatusLine, http.client.IncompleteRead)):
        return "closed"
    return " ".join(str(error).split())[:120] or type(error).__name__


def about(every_s: float) -> float:
    """Return a time near to one: two sources in step with each other would always meet a limit in the same state."""
    return every_s * random.uniform(0.6, 1.4)  # noqa: S311 (nobody has to guess it)


def steady(target: Target, every_s: float, goes_on: Callable[[], bool]) -> Iterator[Outcome]:
    """Send a request about every `every_s` seconds for as long as `goes_on()`; at least one."""
    line, due = Line(target), time.monotonic()
    with contextlib.closing(line):
        while True:
            yield line.ask()
            due = max(due + about(every_s), time.monotonic())
            while goes_on() and time.monotonic() < due:
                time.sleep(max(0.0, min(0.05, due - time.monotonic())))
            if not goes_on():
                return


def main(given: str) -> None:
    """Send steady requests for a time, and print each outcome with times since the first."""
    asked: Any = json.loads(given)
    began = time.monotonic()
    target = Target(**asked["target"])
    for one in steady(target, asked["every_s"], lambda: time.monotonic() < began + asked["for_s"]):
        # At once, so that it ends when nobody reads it any more.
        print(json.dumps([one[0] - began, one[1] - began, *one[2:]]), flush=True)  # noqa: T201 (its output is its answer)


if __name__ == "__main__":
    main(sys.argv[1])
