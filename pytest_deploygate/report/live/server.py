"""The server of the live page: one thread reads the journal, and each browser gets what it read last.

It reads only: any method but GET and HEAD is refused. It answers to the names it was given and to no other (a page of
another site whose name was rebound to this address is refused), and its answers are stored nowhere.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pytest_deploygate.journal import utcnow
from pytest_deploygate.report.live import page, parts, stands
from pytest_deploygate.report.live.following import Change, Following, Seen
from pytest_deploygate.report.live.page import Live, Signature
from pytest_deploygate.report.live.parts import Parts
from pytest_deploygate.report.live.stands import Stands

#: How often the journal is looked at, and how often a browser hears that the server is there.
LOOK_S, ALIVE_S = 0.25, 5.0
#: Browsers that follow at the same time; further ones are told to reload instead.
FOLLOWERS = 64
#: Returns the signatures that are there of a change, by the slug of their role.
LooksAtSignatures = Callable[[Change], Mapping[str, Signature]]
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Board:
    """What was read last, for all threads. `number` counts the pages that differed."""

    def __init__(self, folder: Path, signed: LooksAtSignatures) -> None:
        self._following, self._signed_now = Following(folder), signed
        self._changed = threading.Condition()
        self._parts = Parts()
        self._seen: Seen | None = None
        self._signed: Mapping[str, Signature] = {}
        self._live: Live | None = None
        self._state: tuple[Stands, bool] | None = None
        self.number = 0
        self._closed = False
        self.refresh()

    @property
    def seen(self) -> Seen:
        """The journal as it was read last."""
        assert self._seen is not None  # noqa: S101 (for mypy: the first look sees something)
        return self._seen

    def refresh(self) -> None:
        """Look at the journal; a decision or a clock that ran out since the last look changes the page, too."""
        seen = self._following.look()
        known = seen or self.seen
        at, change = utcnow(), known.change
        signed = self._signed_now(change) if change else {}
        state = stands.now(known, at), bool(change and change.clock and change.clock.until <= at)
        if seen is None and state == self._state and signed == self._signed:
            return
        live = page.live(known, at, signed)
        with self._changed:
            self._seen, self._state, self._signed, self._live = known, state, signed, live
            if self._parts.update(live, self.number + 1):
                self.number += 1
                self._changed.notify_all()

    def after(self, number: int, patience_s: float) -> tuple[int, dict[str, str]]:
        """Return the parts that came after the page of a number, once there are some; none after a while."""
        with self._changed:
            self._changed.wait_for(lambda: self.number != number or self._closed, patience_s)
            return self.number, self._parts.since(number)

    def document(self, change: str) -> str:
        """Return the whole page."""
        live = self._live
        assert live is not None  # noqa: S101 (for mypy: the first look made one)
        return parts.document(live, change, utcnow())

    def close(self) -> None:
        """Let nobody wait any longer: browsers must hear at once that nothing comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Server(ThreadingHTTPServer):
    """Serves one change. `names` are the values of the Host header, without port, that it answers to."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        folder: Path,
        change: str,
        token: str,
        names: Iterable[str],
        signed: LooksAtSignatures = lambda _change: {},
    ) -> None:
        self.board, self.change, self.token = Board(folder, signed), change, token
        self.names = frozenset(name.lower() for name in (*_LOOPBACK, *names))
        self.followers = threading.BoundedSemaphore(FOLLOWERS)
        self.stopped = threading.Event()
        super().__init__(address, _Handler)

    def follow(self) -> None:
        """Look at the journal until the server is closed."""
        while not self.stopped.wait(LOOK_S):
            try:
                self.board.refresh()
            except Exception:
                self.stopped.set()
                self.board.close()
                self.shutdown()
                raise

    def server_close(self) -> None:
        """Stop looking, and give the port back."""
        self.stopped.set()
        self.board.close()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error, and a traceback could show a token."""


def is_loopback(host: str) -> bool:
    """Tell whether an address or name can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "deploygate", ""
    timeout = 10  # of a browser that does not take what it is sent

    def do_GET(self) -> None:
        """Answer with the page or its events."""
        if not self._admitted():
            return
        path = urlsplit(self.path).path
        if path == "/":
            self._send(HTTPStatus.OK, self.server.board.document(self.server.change), "text/html")
        elif path == "/events":
            self._events()
        else:
            self._send(HTTPStatus.NOT_FOUND, "There is only the page / here.\n")

    do_HEAD = do_GET  # noqa: N815 (the name of the standard library)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 (its signature)
        """Answer in one sentence. The standard library calls this for each method that has no `do_`."""
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._send(
                HTTPStatus.METHOD_NOT_ALLOWED, "This page is read-only: GET and HEAD.\n", allow="GET, HEAD"
            )
        else:
            self._send(HTTPStatus(code), f"{HTTPStatus(code).phrase}.\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the standard library)
        """Log nothing: a request's address holds the token."""

    def _admitted(self) -> bool:
        host = self.headers.get("Host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name not in self.server.names or len(self.headers.get_all("Host", [])) != 1:
            self._send(
                HTTPStatus.MISDIRECTED_REQUEST, "This server does not answer to this name: see --name.\n"
            )
            return False
        if self.server.token and not hmac.compare_digest(self._token().encode(), self.server.token.encode()):
            self._send(HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n", www_authenticate="Bearer")
            return False
        return True

    def _token(self) -> str:
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return given.strip()
        return parse_qs(urlsplit(self.path).query).get("token", [""])[0]

    def _head(self, status: HTTPStatus, kind: str, **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", parts.policy())
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        for name, value in more.items():
            self.send_header(name.replace("_", "-").title(), value)

    def _send(self, status: HTTPStatus, text: str, kind: str = "text/plain", **more: str) -> None:
        body = text.encode()
        self._head(status, kind, content_length=str(len(body)), **more)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _events(self) -> None:
        self.close_connection = True
        if not self.server.followers.acquire(blocking=False):
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, "Too many browsers follow: reload the page.\n")
            return
        try:
            self._head(HTTPStatus.OK, "text/event-stream", connection="close")
            self.end_headers()
            number = -1
            while self.command != "HEAD" and not self.server.stopped.is_set():
                number, changed = self.server.board.after(number, ALIVE_S)
                if changed:
                    self._event("parts", json.dumps(changed))
                self._event("alive", str(int(time.time() * 1000)))
        except OSError:
            pass  # the browser went away
        finally:
            self.server.followers.release()

    def _event(self, name: str, data: str) -> None:
        self.wfile.write(f"event: {name}\ndata: {data}\n\n".encode())
        self.wfile.flush()
