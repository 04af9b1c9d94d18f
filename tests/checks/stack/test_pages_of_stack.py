"""Pages of versions and of health, on a real HTTP server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pytest_deploygate.checks.stack.facts import State
from pytest_deploygate.checks.stack.probe import pages
from pytest_deploygate.checks.stack.section import Healthy, VersionEndpoint
from pytest_deploygate.clients import reach


@pytest.fixture(autouse=True)
def _forget() -> None:
    reach.begin()


@contextlib.contextmanager
def page(body: str, status: int = 200, **headers: str) -> Iterator[str]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = body.encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "keys", "version"),
    [
        ('{"build": {"version": "2.4.1"}}', {"field": "build.version"}, "2.4.1"),
        ('{"build": {"version": 7}}', {"field": "build.version"}, "7"),
        ('{"build": "2.4.1"}', {"field": "build.version"}, None),
        ("<html>login</html>", {"field": "build.version"}, None),
        ("<p>Version 2.4.1 of May</p>", {"pattern": r"Version (\S+)"}, "2.4.1"),
        ("<p>of May</p>", {"pattern": r"Version (\S+)"}, None),
        ("2.4.1\n", {}, "2.4.1"),
        ("v2.4.1-3", {}, "v2.4.1-3"),
        ("<html>please log in, build 2.4.1</html>", {}, None),
        ("", {}, None),
    ],
)
def test_a_version_in_an_answer(body, keys, version):
    with page(body) as url:
        told = pages.version("app", VersionEndpoint.model_validate({"url": url, **keys}), 5.0)
    assert told.version == version
    assert version or told.why


@pytest.mark.parametrize("status", [302, 401, 404, 503])
def test_no_version_in_another_answer(status):
    with page("2.4.1", status, Location="http://127.0.0.1:1/login") as url:
        told = pages.version("app", VersionEndpoint.model_validate({"url": url}), 5.0)
    assert told.version is None
    assert f"HTTP {status}" in told.why


@pytest.mark.parametrize(
    ("body", "status", "state"),
    [
        ("ok", 200, State.UP),
        ("login", 200, State.DOWN),
        ("ok", 503, State.DOWN),
        ("ok", 500, State.DOWN),
        ("ok", 302, State.UNKNOWN),
        ("ok", 401, State.UNKNOWN),
    ],
)
def test_health_is_what_the_page_says(body, status, state):
    with page(body, status, Location="http://127.0.0.1:1/login") as url:
        seen = pages.health(Healthy.model_validate({"url": url, "contains": "ok"}), 5.0)
    assert seen.state is state
    assert f"HTTP {status}" in seen.said


def test_a_server_that_is_down_and_a_name_that_we_do_not_know():
    down = pages.health(Healthy.model_validate({"url": "http://127.0.0.1:1/"}), 2.0)
    assert (down.state, "nothing listens there" in down.said) == (State.DOWN, True)
    unknown = pages.health(Healthy.model_validate({"url": "http://nowhere.invalid/"}), 2.0)
    assert unknown.state is State.UNKNOWN
