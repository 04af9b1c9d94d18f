"""A small cache before a small origin, in one process. What is wrong with it is a set of names."""

from __future__ import annotations

import gzip
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SCRIPT = b"\n".join(b"export const value%d = %d;" % (n, n) for n in range(200))
Kept = tuple[int, list[tuple[str, str]], bytes, float]


class Cache:
    """The server; `wrong` can be changed while it runs. `asked` has method, path and headers of each request."""

    def __init__(self, *wrong: str) -> None:
        self.wrong = set(wrong)
        self.kept: dict[tuple[str, ...], Kept] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.origin_down = False
        self.lag_s = 0.0
        self.url = ""
        self._lock = threading.Lock()

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Kept:
        """Answer from the store, else from the origin."""
        with self._lock:
            self.asked.append((method, target, headers))
            if method == "PURGE":
                if "ignores-purge" not in self.wrong:
                    self.kept = {key: kept for key, kept in self.kept.items() if key[0] != target}
                return 200, [], b"purged", time.time()
            key = self._key(target, headers)
            kept = self.kept.get(key)
            hit = kept is not None and "never-hits" not in self.wrong
            if not hit or kept is None:
                if self.origin_down:
                    return 503, [("Cache-Control", "no-store")], b"the origin is down", time.time()
                kept = (*self.origin(target, headers, body), time.time())
                if self._may_keep(target, kept):
                    self.kept[key] = kept
            status, lines, content, since = kept
            more = (
                []
                if "says-nothing" in self.wrong
                else [("Cache-Status", "edge; hit" if hit else "edge; fwd=miss")]
            )
            return status, [*lines, *more, ("Age", str(int(time.time() - since)))], content, since

    def _key(self, target: str, headers: dict[str, str]) -> tuple[str, ...]:
        if "unkeyed-query" in self.wrong:
            target = target.partition("?")[0]
        if "unkeyed-utm" in self.wrong:
            target = re.sub(r"[?&]utm_\w+=[^&]*", "", target)
        coding = "" if "ignores-vary" in self.wrong else str("gzip" in headers.get("accept-encoding", ""))
        return target, coding

    def _may_keep(self, target: str, kept: Kept) -> bool:
        if "shares-account" in self.wrong and target.startswith("/account"):
            return kept[0] == 200
        control = dict(kept[1]).get("Cache-Control", "")
        return not {"no-store", "private"} & {word.strip() for word in control.split(",")}

    def origin(
        self, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answer as the application does."""
        parts = urlsplit(target)
        if parts.path == "/app.js":
            return self._script(headers)
        if parts.path == "/page":
            host = headers.get("x-forwarded-host", "") if "reflects" in self.wrong else ""
            said = parse_qs(parts.query).get("utm_source", [""])[0]
            if "fat-get" in self.wrong:
                said += body.decode()
            status = 404 if "rewrites" in self.wrong and "x-original-url" in headers else 200
            page = f"<h1>{host}</h1><p>{said}</p>".encode()
            lines = [("Cache-Control", "public, max-age=60"), ("Content-Type", "text/html")]
            return (
                status,
                [*lines, ("Set-Cookie", "visitor=1")] if "keeps-cookies" in self.wrong else lines,
                page,
            )
        if parts.path == "/uncached":
            return 200, [("Cache-Control", "no-store")], b"fresh"
        if parts.path == "/short":
            return 200, [("Cache-Control", "max-age=1, stale-if-error=600")], b"short"
        if parts.path == "/account" or (parts.path.startswith("/account") and "any-path" in self.wrong):
            user = headers.get("cookie", "").partition("=")[2]
            control = (
                "max-age=600"
                if "any-path" in self.wrong and parts.path != "/account"
                else "private, no-store"
            )
            if not user:
                return 302, [("Location", "/login"), ("Cache-Control", "no-store")], b""
            return 200, [("Cache-Control", control)], f"<h1>{user}</h1>".encode()
        return 404, [("Cache-Control", "no-store")], b"no such page"

    def _script(self, headers: dict[str, str]) -> tuple[int, list[tuple[str, str]], bytes]:
        packed = "gzip" in headers.get("accept-encoding", "") and "uncompressed" not in self.wrong
        content = gzip.compress(SCRIPT, mtime=0) if packed else SCRIPT
        lines = [
            ("Cache-Control", "public, max-age=31536000, immutable"),
            ("Content-Type", "text/javascript"),
            ("ETag", f'"{hashlib.sha256(content).hexdigest()[:12]}"'),
            ("Vary", "Accept-Encoding"),
            ("Accept-Ranges", "bytes"),
        ]
        return 200, [*lines, ("Content-Encoding", "gzip")] if packed else lines, content


@contextmanager
def serving(*wrong: str) -> Iterator[Cache]:
    """Yield a running cache."""
    cache = Cache(*wrong)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            time.sleep(cache.lag_s)
            status, lines, content, _ = cache.answer(self.command, self.path, headers, body)
            etag = dict(lines).get("ETag")
            if etag and headers.get("if-none-match") == etag and "no-304" not in cache.wrong:
                status, content = 304, b""
            part = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
            if part and status == 200 and "no-ranges" not in cache.wrong:
                first = int(part[1]) if part[1] else len(content) - int(part[2])
                last = min(int(part[2]) if part[1] and part[2] else len(content) - 1, len(content) - 1)
                lines = [*lines, ("Content-Range", f"bytes {first}-{last}/{len(content)}")]
                status = 206 if first < len(content) else 416
                shift = 1 if "shifted-range" in cache.wrong else 0
                content = content[first + shift : last + 1 + shift]
            self.send_response_only(status)
            for name, value in lines:
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_PURGE(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    cache.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield cache
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
