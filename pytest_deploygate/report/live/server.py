"""The server of the live page: one thread reads the journal, and each browser gets what it read last.

It reads only: any method but GET and HEAD is refused, but for the webhooks of Flagger, which change nothing. It answers to the names it was given and to no other (a page of
another site whose name was rebound to this address is refused), and its answers are stored nowhere.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import threading
import time
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pytest_deploygate.journal import utcnow
from pytest_deploygate.report.live import asked, parts
from pytest_deploygate.report.live.board import Board, LooksAtSignatures

#: How often the journal is looked at, and how often a browser hears that the server is there.
LOOK_S, ALIVE_S = 0.25, 5.0
#: Browsers that follow at the same time; further ones are told to reload instead.
FOLLOWERS = 64
#: Where Flagger asks: whether to go on, or (true) whether to roll back.
_WEBHOOKS = {"/flagger": False, "/flagger/rollback": True}
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


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
        """Answer with the page, its events, or the decision."""
        if not self._admitted():
            return
        path = urlsplit(self.path).path
        if path == "/":
            self._send(HTTPStatus.OK, self.server.board.document(self.server.change), "text/html")
        elif path == "/events":
            self._events()
        elif path == "/decision.json":
            phases = asked.phases_of(",".join(self._query("phase")))
            name = self._query("change")
            answered = asked.answer(
                self.server.board.seen, utcnow(), name[0] if len(name) == 1 else "", phases
            )
            self._send(HTTPStatus.OK, asked.as_json(answered), "application/json")
        elif path in _WEBHOOKS:
            self._send(HTTPStatus.METHOD_NOT_ALLOWED, "Flagger asks here with POST.\n", allow="POST")
        else:
            self._send(
                HTTPStatus.NOT_FOUND,
                f"There are only /, /decision.json and {' and '.join(_WEBHOOKS)} here.\n",
            )

    do_HEAD = do_GET  # noqa: N815 (the name of the standard library)

    def do_POST(self) -> None:
        """Answer a webhook of Flagger, which changes nothing."""
        if not self._admitted():
            self.close_connection = True
            return
        path = urlsplit(self.path).path
        if path not in _WEBHOOKS:
            self.send_error(HTTPStatus.NOT_IMPLEMENTED)
            return
        size = self.headers.get("Content-Length", "")
        if not (size.isascii() and size.isdigit() and len(size) < 9) or int(size) > asked.MOST_BYTES:
            self.close_connection = True
            self._send(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The request must say its length, {asked.MOST_BYTES} bytes at most.\n",
            )
            return
        body = self.rfile.read(int(size))
        try:
            status, says = asked.flagger(self.server.board.seen, utcnow(), body, back=_WEBHOOKS[path])
        except asked.PayloadError as error:
            status, says = HTTPStatus.BAD_REQUEST, f"{error}\n"
        self._send(status, says)

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
        return (self._query("token") or [""])[0]

    def _query(self, name: str) -> list[str]:
        return parse_qs(urlsplit(self.path).query).get(name, [])

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
                if not self.server.board.stale:  # else the page says that it is old
                    self._event("alive", str(int(time.time() * 1000)))
        except OSError:
            pass  # the browser went away
        finally:
            self.server.followers.release()

    def _event(self, name: str, data: str) -> None:
        self.wfile.write(f"event: {name}\ndata: {data}\n\n".encode())
        self.wfile.flush()
