"""Logs in Loki and OpenSearch, from servers of their documented interfaces."""

from __future__ import annotations

import fnmatch
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pytest_deploygate.checks.access_logs import judge, probe
from pytest_deploygate.checks.access_logs.section import AccessLogs
from pytest_deploygate.clients import reach
from pytest_deploygate.model import Judgement, Verdict

FIELDS = {
    "time": "@timestamp",
    "source": "client.ip",
    "method": "http.method",
    "path": "url.path",
    "status": "http.status",
    "duration": "seconds",
    "user": "user",
}


class Store:
    """A front, and a log store that answers from what the front has logged: Loki's and OpenSearch's search.

    `leaks` makes the front log a cookie. `answer` replaces the answer of the store.
    """

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.leaks = self.logs_queries = False
        self.answer: tuple[int, object] | None = None
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length).decode()
                if url.path == "/loki/api/v1/query_range":
                    outer.reply(self, *(outer.answer or (200, outer.loki(urllib.parse.parse_qs(url.query)))))
                elif url.path == "/nginx-*/_search":
                    outer.reply(self, *(outer.answer or (200, outer.search(json.loads(body)))))
                else:
                    outer.log(self, url.path)
                    outer.reply(self, 200, {})

            def log_message(self, *_arguments: object) -> None:
                """Write no log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.server.server_port}"

    @staticmethod
    def reply(request: BaseHTTPRequestHandler, status: int, said: object) -> None:
        """Answer with JSON."""
        text = said if isinstance(said, str) else json.dumps(said)
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text.encode())

    def log(self, request: BaseHTTPRequestHandler, path: str) -> None:
        """Log a request of the front."""
        self.documents.append(
            {
                "@timestamp": datetime.now(UTC).isoformat(),
                "client": {"ip": "127.0.0.1"},
                "http": {"method": request.command, "status": 200},
                "url": {"path": path},
                "seconds": 0.01,
                "user": None,
                "agent": request.headers["User-Agent"],
            }
        )
        if self.leaks:
            self.documents.append(
                {"@timestamp": datetime.now(UTC).isoformat(), "debug": request.headers["Cookie"]}
            )

    def loki(self, query: dict[str, list[str]]) -> object:
        """Answer /loki/api/v1/query_range: a stream of the lines that a filter finds."""
        self.asked.append(query["query"][0])
        found = re.fullmatch(r'(\{job="nginx"\}) \|~ ("(?:[^"\\]|\\.)*")', query["query"][0])
        assert found is not None
        assert int(query["start"][0]) < int(query["end"][0])
        assert int(query["limit"][0]) <= 5000
        pattern = re.compile(json.loads(found[2]))
        if self.logs_queries:
            self.documents.append({"query": query["query"][0]})
        lines = [(number, json.dumps(document)) for number, document in enumerate(self.documents)]
        values = [[f"{number:019}", line] for number, line in lines if pattern.search(line)]
        return {
            "status": "success",
            "data": {"resultType": "streams", "result": [{"stream": {"job": "nginx"}, "values": values}]},
        }

    def search(self, query: dict[str, Any]) -> object:
        """Answer /INDEX/_search: the documents in which any field matches a wildcard."""
        between, text = query["query"]["bool"]["filter"]
        assert between["range"]["@timestamp"]["format"] == "epoch_millis"
        self.asked.append(text["query_string"]["query"])
        words = text["query_string"]["query"].split(" OR ")
        if self.logs_queries:
            self.documents.append({"query": text["query_string"]["query"]})
        hits = [
            {"_index": "nginx-1", "_id": str(number), "_source": document}
            for number, document in enumerate(self.documents)
            if any(fnmatch.fnmatchcase(json.dumps(document), word) for word in words)
        ]
        return {"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}}


@pytest.fixture
def store() -> Iterator[Store]:
    reach.begin()
    found = Store()
    yield found
    found.server.shutdown()
    found.server.server_close()


def judged(store: Store, kind: str, **keys: object) -> Judgement:
    """Follow a request into a log store."""
    places = {
        "loki": {"url": store.url, "query": '{job="nginx"}'},
        "opensearch": {"url": store.url, "index": "nginx-*"},
    }
    hop = {"name": "nginx", kind: places[kind] | keys, "format": "json", "fields": FIELDS}
    section = AccessLogs.model_validate(
        {
            "request": {"url": f"{store.url}/page"},
            "post": {"url": f"{store.url}/page"},
            "hops": [hop],
            "within": "1s",
        }
    )
    return judge.judge(probe.follow(section, {}), section)


@pytest.mark.parametrize("kind", ["loki", "opensearch"])
def test_a_healthy_log(store, kind):
    judgement = judged(store, kind)
    assert judgement.verdict is Verdict.PASS, judgement.reason


@pytest.mark.parametrize("kind", ["loki", "opensearch"])
def test_a_secret_in_another_line(store, kind):
    store.leaks = True
    assert "what the request carried in the cookie is in the log" in judged(store, kind).reason


@pytest.mark.parametrize("kind", ["loki", "opensearch"])
def test_nothing_is_logged(store, kind):
    store.log = lambda *_: None  # type: ignore[method-assign]
    judgement = judged(store, kind)
    assert judgement.verdict is Verdict.FAIL
    assert "are not in it after 1 s" in judgement.reason


@pytest.mark.parametrize("kind", ["loki", "opensearch"])
def test_a_store_that_logs_its_queries(store, kind):
    """Neither the mark nor a canary is found in what is logged of our own queries, even before they are answered."""
    store.logs_queries = True
    judgement = judged(store, kind)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert judgement.notes == ()
    assert len(store.asked) >= 3


def test_the_line_in_a_field_of_the_document(store):
    """A collector that does not take lines apart."""
    log = store.log

    def whole(request: BaseHTTPRequestHandler, path: str) -> None:
        log(request, path)
        store.documents[-1] = {"@timestamp": "now", "event": {"original": json.dumps(store.documents[-1])}}

    store.log = whole  # type: ignore[method-assign]
    judgement = judged(store, "opensearch", message="event.original")
    assert judgement.verdict is Verdict.PASS, judgement.reason


ANSWERS: dict[str, tuple[str, tuple[int, object], str]] = {
    "no permission": ("loki", (401, "no"), "it does not let us in (HTTP 401): check `token` or `auth`"),
    "a bad query": ("loki", (400, "parse error at line 1"), "it answered HTTP 400: parse error at line 1"),
    "no JSON": ("loki", (200, "<html>"), "the log store's answer is not JSON"),
    "a metric": (
        "loki",
        (200, {"status": "success", "data": {"resultType": "matrix"}}),
        "is `query` the selector",
    ),
    "a list": ("loki", (200, []), "is not what its interface says"),
    "no such index": ("opensearch", (404, {"error": "index_not_found"}), "it answered HTTP 404"),
    "failed shards": (
        "opensearch",
        (200, {"_shards": {"failed": 1}, "hits": {"hits": []}}),
        "some of its shards failed",
    ),
    "timed out": ("opensearch", (200, {"timed_out": True, "hits": {"hits": []}}), "its search did not end"),
}


@pytest.mark.parametrize(("kind", "answer", "says"), ANSWERS.values(), ids=ANSWERS)
def test_a_store_that_does_not_answer_well_is_inconclusive(store, kind, answer, says):
    store.answer = answer
    judgement = judged(store, kind)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert says in judgement.reason


def test_a_store_that_is_down(store):
    judgement = judged(store, "loki", url="http://127.0.0.1:1")
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "Loki: the log store cannot be asked: no connection (connection refused" in judgement.reason
