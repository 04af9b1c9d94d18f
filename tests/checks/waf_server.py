"""A small application behind a small WAF, for tests of what happens around rules: bans, odd answers, origins."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_plus

BAD = re.compile(
    r"select|script|passwd|\.\./|jndi|<\?|exec|sqlmap|union|\$\(|eval|alert|OR '1'", re.IGNORECASE
)


class WafServer(ThreadingHTTPServer):
    """Serves /search and /api/echo. Its attributes say what the WAF does; `seen` are the requests."""

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.blocks = True
        self.status, self.page = 403, "<title>Forbidden</title>"
        self.ban_after: int | None = None
        self.error_on_attack: int | None = None
        self.reject_all = False
        self.header = ""
        self.delay_s = 0.0  # before the answer to an attack
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.blocked: Counter[str] = Counter()
        self.guard = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        host = str(self.server_address[0])
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WafServer

    def handle_any(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = unquote_plus(unquote_plus(self.path)) + unquote_plus(body.decode(errors="replace"))
        text += " ".join(value for name, value in self.headers.items() if name != "Host")
        source = str(self.client_address[0])
        with server.guard:
            server.seen.append((self.command, self.path, dict(self.headers.items()), body))
            attack = bool(BAD.search(text))
            banned = server.ban_after is not None and server.blocked[source] >= server.ban_after
            if attack and server.blocks:
                server.blocked[source] += 1
        if attack:
            time.sleep(server.delay_s)
        if server.reject_all or banned or (attack and server.blocks):
            self._send(server.status, server.page)
        elif attack and server.error_on_attack is not None:
            self._send(server.error_on_attack, "<title>Error</title>", server.header)
        elif self.path.partition("?")[0] in ("/search", "/api/echo"):
            self._send(200, "<title>Nothing was found</title>", server.header)
        else:
            self._send(404, "<title>Not found</title>", server.header)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def _send(self, status: int, text: str, header: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if header:
            self.send_header(header, "application")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(server: WafServer) -> Iterator[WafServer]:
    """Serve until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
