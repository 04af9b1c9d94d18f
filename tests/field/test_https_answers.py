"""HTTPS servers whose answers lead back to plain HTTP, are errors, or set cookies on the way: measured on a real server."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import tls_servers as servers
from tls_servers import build, own

from pytest_deploygate.checks.tls.judge import headers
from pytest_deploygate.checks.tls.probe import http_answers
from pytest_deploygate.checks.tls.probe.connection import Place
from pytest_deploygate.checks.tls.section.endpoints import Http
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.clients import reach

GOOD = (
    ("Strict-Transport-Security", "max-age=63072000"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
HOST = servers.HOST


@contextlib.contextmanager
def site(folder: Path, status: int, *more: tuple[str, str], body: bytes = b"<p>hello</p>") -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (*GOOD, *more):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    reach.begin()
    made = servers.write(folder, build(), own().intermediate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def look(port: int) -> headers.Look:
    expected = Http(redirect_port="none")
    found = http_answers.measure(Place(HOST, "127.0.0.1", port, "none", 5), expected)
    return headers.look(found, expected, profile("intermediate"), HOST)


@pytest.mark.parametrize(
    ("status", "more", "body", "wrong", "notes"),
    [
        (200, (), b"<p>hello</p>", "", ""),
        (301, (("Location", f"http://{HOST}/"),), b"", "back to plain HTTP", ""),
        (302, (("Location", f"HTTP://{HOST.upper()}/login"),), b"", "back to plain HTTP", ""),
        (307, (("Location", f"http://{HOST}:8080/"),), b"", "back to plain HTTP", ""),
        (200, (("Refresh", f"0; url=http://{HOST}/"),), b"<p>hello</p>", "back to plain HTTP", ""),
        (200, (), f'<meta http-equiv="refresh" content="0;url=http://{HOST}/a">'.encode(), "back to plain HTTP", ""),
        (302, (("Location", "http://other.example.com/"),), b"", "", "which is plain HTTP"),
        (302, (("Location", "/start"),), b"", "", "the page itself was not looked at"),
        (500, (), b"<p>error</p>", "", "the page answers 500, so the headers are those of an error page"),
        (404, (), b"<p>gone</p>", "", "the page answers 404"),
        (503, (("Retry-After", "60"),), b"<p>later</p>", "", "the page answers 503"),
        (401, (("WWW-Authenticate", "Basic"),), b"", "", "the page answers 401"),
        (204, (), b"", "", ""),
        (302, (("Location", "/start"), ("Set-Cookie", "session=1; Secure; SameSite=Lax")), b"", "", "cookies-session-without-httponly"),
        (302, (("Location", "/start"), ("Set-Cookie", "theme=dark; SameSite=None")), b"", "", "cookies-"),
        (302, (("Location", "/start"), ("Set-Cookie", "csrf=1; Secure; HttpOnly")), b"", "", "cookies-anticsrf-without-samesite"),
        # Set on the way to the page, and sent back in clear afterwards.
        (302, (("Location", "/start"), ("Set-Cookie", "session=1; HttpOnly")), b"", "", "cookies-"),
        (302, (("Location", "/start"), ("Set-Cookie", "session=1; HttpOnly; Secure; SameSite=Lax")), b"", "", "was not looked at"),
    ],
)  # fmt: skip
def test_what_https_answers(
    tmp_path: Path, status: int, more: tuple[tuple[str, str], ...], body: bytes, wrong: str, notes: str
) -> None:
    with site(tmp_path, status, *more, body=body) as port:
        said = look(port)
    assert said.unknown == []
    assert (wrong in " ".join(said.wrong)) if wrong else (said.wrong == []), said.wrong
    assert notes in " ".join(said.notes)


@contextlib.contextmanager
def plain(status: int, *more: tuple[str, str]) -> Iterator[int]:
    """A server of plain HTTP."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (*more, ("Content-Length", "0")):
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "more", "wrong", "note"),
    [
        (200, (), "port 80 answers plain HTTP (200), although `redirect_port: none`", ""),
        (404, (), "port 80 answers plain HTTP (404)", ""),
        (401, (("WWW-Authenticate", "Basic"),), "port 80 answers plain HTTP (401)", ""),
        (301, (("Location", "http://other.example.com/"),), "port 80 answers plain HTTP (301)", ""),
        (301, (("Location", f"https://{HOST}/"),), "", "port 80 redirects to HTTPS, although"),
    ],
)
def test_plain_http_that_is_said_not_to_be_offered(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    more: tuple[tuple[str, str], ...],
    wrong: str,
    note: str,
) -> None:
    """`none` leaves out the redirect, and is no leave to serve the site in clear."""
    with site(tmp_path, 200) as port, plain(status, *more) as beside:
        monkeypatch.setattr(http_answers, "_HTTPS", port)
        monkeypatch.setattr(http_answers, "_HTTP", beside)
        said = look(port)
    assert said.unknown == []
    assert (wrong in " ".join(said.wrong)) if wrong else (said.wrong == []), said.wrong
    assert note in " ".join(said.notes)


def test_plain_http_that_is_not_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Refused; and beside another port than 443, whatever is on port 80."""
    with site(tmp_path, 200) as port:
        with plain(200) as beside:
            monkeypatch.setattr(http_answers, "_HTTP", beside)
            assert look(port).wrong == []
        monkeypatch.setattr(http_answers, "_HTTPS", port)
        said = look(port)
    assert (said.wrong, said.unknown) == ([], [])
