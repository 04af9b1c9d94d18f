"""What stands before a Prometheus and spoils its answers: a login, a proxy, a store that is missing, a clock that is off."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

#: By how much the clock is ahead.
AHEAD_S = 90.0
LOGIN = (200, {"Content-Type": "text/html"}, b"<html><form>Please log in</form></html>")
REDIRECT = (302, {"Location": "https://sso.example.com/login"}, b"")
GATEWAY = (503, {"Content-Type": "text/html"}, b"<html>no server is available to handle this request</html>")
HALF = (200, {"Content-Type": "application/json"}, b'{"status":"success","data":{"resultType":"vec')
_TIMES = ("time", "start", "end")
_ZONE = timezone(timedelta(hours=5, minutes=45))
Answer = tuple[int, dict[str, str], bytes]
Data = dict[str, Any]


@dataclass
class Spoiled:
    """`how` is a whole answer in place of Prometheus' own, a change of its JSON, or None. `before` changes the question."""

    url: str = ""
    how: Answer | Callable[[Data], Data] | None = None
    before: Callable[[dict[str, str]], dict[str, str]] = dict
    #: The server's time is asked for first, and told as it is: what spoils data may come later.
    spares_time: bool = False


def partial(told: Data) -> Data:
    return told | {"warnings": ["store 10.0.0.7:10901 is unavailable"]}


def partial_of_victoriametrics(told: Data) -> Data:
    return told | {"isPartial": True}


def values(text: str) -> Callable[[Data], Data]:
    """Return a change of all values into another."""

    def change(told: Data) -> Data:
        for series in _series(told):
            if "value" in series:
                series["value"] = [series["value"][0], text]
            if "values" in series:
                series["values"] = [[at, text] for at, _ in series["values"]]
        return told

    return change


def nothing(told: Data) -> Data:
    """Return an answer without any series."""
    data = told.get("data")
    if isinstance(data, dict) and data.get("resultType") in ("vector", "matrix"):
        data["result"] = []
    return told | {"data": []} if isinstance(data, list) else told


def ahead(told: Data) -> Data:
    """Return the answer of a server whose clock is ahead: so are its samples."""
    for series in _series(told):
        if "value" in series:
            at, value = series["value"]
            moment = float(value) > 1e9
            series["value"] = [at + AHEAD_S, str(float(value) + AHEAD_S) if moment else value]
        if "values" in series:
            series["values"] = [[at + AHEAD_S, value] for at, value in series["values"]]
    data = told.get("data")
    if isinstance(data, dict) and data.get("resultType") == "scalar":
        at, value = data["result"]
        data["result"] = [at + AHEAD_S, str(float(value) + AHEAD_S)]
    return _moments(told, lambda at: at + timedelta(seconds=AHEAD_S))


def earlier(question: dict[str, str]) -> dict[str, str]:
    """Return a question to that server in our time."""
    return {k: str(float(v) - AHEAD_S) if k in _TIMES else v for k, v in question.items()}


def other_zone(told: Data) -> Data:
    """Return an answer whose moments are written in another zone."""
    return _moments(told, lambda at: at.astimezone(_ZONE))


def _series(told: Data) -> list[Data]:
    data = told.get("data")
    found = data.get("result") if isinstance(data, dict) else None
    return [each for each in found or () if isinstance(each, dict)]


def _moments(part: Any, change: Callable[[datetime], datetime]) -> Any:
    if isinstance(part, dict):
        return {key: _moments(value, change) for key, value in part.items()}
    if isinstance(part, list):
        return [_moments(value, change) for value in part]
    try:
        at = datetime.fromisoformat(part) if isinstance(part, str) and part[4:5] == "-" else None
    except ValueError:
        return part
    return part if at is None or at.tzinfo is None or at.year <= 1 else change(at).isoformat()


@contextmanager
def spoiling(url: str) -> Iterator[Spoiled]:
    """Stand before the Prometheus at `url` until the block ends."""
    spoiled = Spoiled()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = _answer(url, self.path, spoiled)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    spoiled.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield spoiled
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(url: str, path: str, spoiled: Spoiled) -> Answer:
    parts = urllib.parse.urlsplit(path)
    question = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    how = None if spoiled.spares_time and question.get("query") == "time()" else spoiled.how
    if isinstance(how, tuple):
        return how
    asked = f"{url}{parts.path}?{urllib.parse.urlencode(spoiled.before(question))}"
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            status, kind, body = answer.status, answer.headers["Content-Type"] or "", answer.read()
    except urllib.error.HTTPError as error:
        status, kind, body = error.code, error.headers["Content-Type"] or "", error.read()
    if how is not None and "json" in kind:
        body = json.dumps(how(json.loads(body))).encode()
    return status, {"Content-Type": kind}, body
