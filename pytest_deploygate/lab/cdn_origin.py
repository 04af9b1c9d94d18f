"""The origin behind the lab's caches: two assets, a page that is built from the request, an account page, and a status.

Run as `python -m pytest_deploygate.lab.cdn_origin FOLDER`. What a fault changes is read from a file for each request.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import json
import re
import sys
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pytest_deploygate.lab.state import HOST, Lab, load
from pytest_deploygate.lazy import dataclass

SCRIPT, IMAGE, LANDING, ACCOUNT, STATUS = (
    "/assets/app-3f9c2a.js",
    "/assets/logo-91ab.png",
    "/welcome",
    "/account",
    "/status.json",
)
HOSTNAME = "cdn.lab.test"
#: Users of the account page, by the value of their cookie `session`.
USERS = {"alice-4f1e9c": "Alice Example, 17 orders", "bob-77a2d0": "Bob Example, 3 orders"}
_MODIFIED = formatdate(1_790_000_000, usegmt=True)
_YEAR = "public, max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def switches(lab: Lab) -> Path:
    """Return the file with what is wrong with the origin: `{"name": true}`."""
    return lab.folder / "jobs" / "cdn-origin.json"


@dataclass(frozen=True)
class Asset:
    """A file in all codings that this origin can make, by their name; the identity is ''."""

    content_type: str
    variants: dict[str, bytes]

    def etag(self, coding: str) -> str:
        """Return the strong validator of a variant."""
        return f'"{hashlib.sha256(self.variants[coding]).hexdigest()[:16]}"'


def _script(version: int) -> Asset:
    lines = [f"// version {version}", '"use strict";']
    lines += [f"export function step{n}(machine) {{ return machine.load({n}); }}" for n in range(120)]
    body = "\n".join(lines).encode()
    return Asset("text/javascript; charset=utf-8", _coded(body))


def _coded(body: bytes) -> dict[str, bytes]:
    """Return a text in each coding; those that are missing here are extras."""
    found = {"": body, "gzip": gzip.compress(body, mtime=0)}
    with contextlib.suppress(ImportError):
        found["br"] = importlib.import_module("brotli").compress(body)
    with contextlib.suppress(ImportError):
        found["zstd"] = importlib.import_module("zstandard").compress(body)
    return found


def _image() -> Asset:
    noise = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(100))
    return Asset("image/png", {"": b"\x89PNG\r\n\x1a\n" + noise})


def serve(lab: Lab) -> None:
    """Serve until the process is ended."""
    assets = {SCRIPT: _script(1), IMAGE: _image()}
    changed = _script(2)

    class Answers(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer."""
            self.wrong = _read(lab)
            parts = urlsplit(self.path)
            path = parts.path
            if path.startswith(f"{ACCOUNT}/") and "any-path" in self.wrong:
                path = ACCOUNT
            if path in assets:
                self._asset(changed if path == SCRIPT and "changed" in self.wrong else assets[path])
            elif path == LANDING:
                self._landing(parse_qs(parts.query))
            elif path == ACCOUNT:
                self._account()
            elif path == STATUS:
                control = "max-age=1" if "no-grace" in self.wrong else "max-age=1, stale-if-error=600"
                self._send(200, b'{"status": "good"}', "application/json", ("Cache-Control", control))
            else:
                self._send(404, b"there is no such page\n", "text/plain", ("Cache-Control", "no-store"))

        def do_HEAD(self) -> None:
            """Answer without the content."""
            self.do_GET()

        def _asset(self, asset: Asset) -> None:
            taken = [
                part.partition(";")[0].strip() for part in self.headers.get("Accept-Encoding", "").split(",")
            ]
            coding = next(
                (one for one in ("br", "zstd", "gzip") if one in taken and one in asset.variants), ""
            )
            body, etag = asset.variants[coding], asset.etag(coding)
            headers = [
                ("Cache-Control", "public, max-age=60" if "short" in self.wrong else _YEAR),
                ("ETag", etag),
                ("Last-Modified", _MODIFIED),
                ("Accept-Ranges", "bytes"),
            ]
            if len(asset.variants) > 1 and "no-vary" not in self.wrong:
                headers.append(("Vary", "Accept-Encoding"))
            if coding:
                headers.append(("Content-Encoding", coding))
            if "cookie" in self.wrong:
                headers.append(("Set-Cookie", "visitor=8812; Path=/"))
            if coding == "gzip" and "broken-gzip" in self.wrong:
                body = body[: len(body) // 2]
            if coding == "gzip" and "old-gzip" in self.wrong:
                body = changed.variants[coding]
            if self.headers.get("If-None-Match") == etag:
                self._send(304, b"", "", *headers)
                return
            part = _RANGE.fullmatch(self.headers.get("Range", ""))
            if part and not coding:
                self._part(body, part, asset.content_type, headers)
                return
            self._send(200, body, asset.content_type, *headers)

        def _part(
            self, body: bytes, asked: re.Match[str], content_type: str, headers: list[tuple[str, str]]
        ) -> None:
            first = int(asked[1]) if asked[1] else max(0, len(body) - int(asked[2]))
            last = min(int(asked[2]), len(body) - 1) if asked[1] and asked[2] else len(body) - 1
            if first >= len(body):
                self._send(416, b"", "", ("Content-Range", f"bytes */{len(body)}"))
                return
            shift = 1 if "shifted-range" in self.wrong else 0
            said = ("Content-Range", f"bytes {first}-{last}/{len(body)}")
            self._send(206, body[first + shift : last + 1 + shift], content_type, *headers, said)

        def _landing(self, query: dict[str, list[str]]) -> None:
            host = (
                self.headers.get("X-Forwarded-Host", HOSTNAME) if "forwarded-host" in self.wrong else HOSTNAME
            )
            campaign = re.sub(r"\W", "", query.get("utm_source", ["none"])[0])
            page = (
                f'<!doctype html><link rel="canonical" href="https://{host}{LANDING}"><h1>Welcome</h1>'
                f'<a href="/signup?from={campaign}">Sign up</a>\n'
            )
            self._send(
                200, page.encode(), "text/html; charset=utf-8", ("Cache-Control", "public, max-age=60")
            )

        def _account(self) -> None:
            session = re.search(r"\bsession=([\w-]+)", self.headers.get("Cookie", ""))
            user = USERS.get(session[1]) if session else None
            if user is None:
                self._send(302, b"", "", ("Location", "/login"), ("Cache-Control", "no-store"))
                return
            keep = "max-age=60" if "cacheable-account" in self.wrong else "private, no-store"
            page = f"<!doctype html><h1>{user}</h1>\n".encode()
            self._send(200, page, "text/html; charset=utf-8", ("Cache-Control", keep))

        def _send(self, status: int, body: bytes, content_type: str, *headers: tuple[str, str]) -> None:
            self.send_response(status)
            for name, value in (*headers, *([("Content-Type", content_type)] if content_type else [])):
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Write no log."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    Server((HOST, lab.ports["cdn-origin"]), Answers).serve_forever()


def _read(lab: Lab) -> set[str]:
    try:
        return set(json.loads(switches(lab).read_text()))
    except FileNotFoundError:
        return set()


if __name__ == "__main__":
    serve(load(Path(sys.argv[1]), up=False))
