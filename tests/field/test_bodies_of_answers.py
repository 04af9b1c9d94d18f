"""Expected words are found in whatever encoding a server sends: under load, by a watch, and by a health check."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.checks.uptime.probe import ask
from pytest_deploygate.checks.uptime.section import WatchTarget
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http import health
from pytest_deploygate.fields.health import HealthCheck

WORD = "Datenschutzerklärung"
#: Content-Type, body.
FOUND = {
    "UTF-8, said nowhere": ("text/html", WORD.encode()),
    "UTF-8 in meta": ("text/html", b"<meta charset=utf-8>" + WORD.encode()),
    "Latin-1 by the header": ("text/html; charset=iso-8859-1", WORD.encode("latin-1")),
    "Latin-1 in meta": ("text/html", b"<meta charset=iso-8859-1>" + WORD.encode("latin-1")),
    "Windows, said nowhere": ("text/html", WORD.encode("cp1252")),
    "UTF-16 with a mark": ("text/html", b"\xff\xfe" + WORD.encode("utf-16-le")),
    "an unknown charset": ("text/html; charset=utf8mb4", WORD.encode()),
    "a charset that is none": ("text/html; charset=none", WORD.encode("cp1252")),
    "JSON": ("application/json", f'["{WORD}"]'.encode()),
}
LACKING = {
    "another word": ("text/html; charset=iso-8859-1", "Datenschutzerklarung ä".encode("latin-1")),
    "UTF-8 that is said to be Cyrillic": ("text/html; charset=koi8-r", WORD.encode("latin-1")),
    "nothing": ("text/html", b""),
}


@contextmanager
def serving(content_type: str, body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    reach.begin()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def seen(where: str, **expected: object) -> tuple[bool, bool, bool]:
    """Return whether load, a watch and a health check find the answer good: by default, if the word is there."""
    expected = expected or {"contains": WORD}
    port = int(where.rstrip("/").rpartition(":")[2])
    target = {"scheme": "http", "host": "127.0.0.1", "port": port}
    endpoints = [{"path": "/"} | expected]
    load = Load.model_validate(
        {"allow": "x", "target": target, "endpoints": endpoints, "peak_per_second": 20, "duration": "500ms"}
    )
    sent = send(load, "x", calibrate=False)
    assert sent.whole.failed in (0, sent.whole.requests)
    watched = WatchTarget.model_validate({"name": "a", "url": where} | expected)
    checked = HealthCheck.model_validate({"name": "a", "url": where} | expected)
    return sent.whole.failed == 0, up(watched), health.look([checked])[0].good


def up(target: WatchTarget) -> bool:
    try:
        asyncio.run(ask._http(target, target.url or ""))
    except ask._NotUp:
        return False
    return True


@pytest.mark.parametrize("name", FOUND)
def test_words_that_are_there(name):
    with serving(*FOUND[name]) as where:
        assert seen(where) == (True, True, True)


@pytest.mark.parametrize("name", LACKING)
def test_words_that_are_not_there(name):
    with serving(*LACKING[name]) as where:
        assert seen(where) == (False, False, False)


#: Answers of 200 that say what is wrong in the body, and what shows it.
ERRORS = {
    "a part is down": ("application/json", b'{"status": "UP", "database": "DOWN"}', {"lacks": "DOWN"}),
    "one of several words": ("application/json", b'{"errors": [{"message": "x"}]}', {"lacks": ["DOWN", '"errors"']}),
    "a page that apologizes": (
        "text/html; charset=iso-8859-1",
        "<h1>St\xf6rung</h1>".encode("latin-1"),
        {"lacks": "St\xf6rung"},
    ),
    "UTF-16": ("text/plain; charset=utf-16le", "database: DOWN".encode("utf-16-le"), {"lacks": "DOWN"}),
    "another status in it": ("application/json", b'{"status": "fail"}', {"matches": r'"status": *"(ok|pass|UP)"'}),
    "not what is expected": ("text/html", b"<h1>Under construction</h1>", {"contains": "ready"}),
    "the word beside an error": ("text/plain", b"ready, but: replica lost", {"contains": "ready", "lacks": "lost"}),
}  # fmt: skip
WELL = {
    "lacks": ("application/json", b'{"status": "UP", "database": "UP"}', {"lacks": "DOWN"}),
    "matches": ("application/json", b'{"status":"pass"}', {"matches": r'"status": *"(ok|pass|UP)"'}),
    "UTF-16": ("text/plain; charset=utf-16le", "database: UP".encode("utf-16-le"), {"contains": "UP"}),
    "umlauts": ("text/html", "<h1>Gr\xfc\xdfe</h1>".encode("latin-1"), {"lacks": "St\xf6rung"}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_in_a_body_of_200(name):
    content_type, body, expected = ERRORS[name]
    with serving(content_type, body) as where:
        assert seen(where, **expected) == (False, False, False)


@pytest.mark.parametrize("name", WELL)
def test_a_body_without_that_error(name):
    content_type, body, expected = WELL[name]
    with serving(content_type, body) as where:
        assert seen(where, **expected) == (True, True, True)


def test_what_was_not_looked_at_is_said():
    """Nothing is expected of the body: the answer is good by its status, and each who reads that is told."""
    with serving(*ERRORS["a part is down"][:2]) as where:
        checked = HealthCheck.model_validate({"name": "a", "url": where})
        assert health.look([checked])[0].said == "answered 200, its body was not looked at"
        told = HealthCheck.model_validate({"name": "a", "url": where, "lacks": "DOWN"})
        assert health.look([told])[0].said == "answered 200, body with 'DOWN'"
    with serving("text/plain", b"") as where:
        checked = HealthCheck.model_validate({"name": "a", "url": where})
        assert health.look([checked])[0].said == "answered 200"


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        ({"contains": ""}, "an empty text is in every answer"),
        ({"contains": ["ready", "  "]}, "an empty text is in every answer"),
        ({"lacks": ""}, "an empty text is in every answer"),
        ({"matches": ""}, "matches an empty body too"),
        ({"matches": ".*"}, "matches an empty body too"),
        ({"matches": "(ready)?"}, "matches an empty body too"),
    ],
)
def test_what_is_expected_of_a_body_can_be_missed(expected, says):
    """An expectation that every answer meets would only look like one."""
    with pytest.raises(ValueError, match="every answer") as refused:
        HealthCheck.model_validate({"name": "a", "url": "http://x.example/"} | expected)
    assert says in str(refused.value)
