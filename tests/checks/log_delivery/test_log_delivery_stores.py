"""Messages that arrive in Loki or OpenSearch: servers of the documented interfaces, by documentation, not the products."""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.log_delivery import judge, probe
from pytest_deploygate.checks.log_delivery.section import LogDelivery
from pytest_deploygate.model import Judgement, Verdict

HOSTS = Hosts.model_validate({"servers": [{"name": "web1", "connection": "local://"}]})
LINE = re.compile(r"(\S+) (\S+) deploygate: (.*)", re.DOTALL)


class Store:
    """A log store whose entries are the lines of a file. `streams` is how many streams each line came in."""

    def __init__(self, file: Path) -> None:
        self.file, self.streams = file, 1
        self.answer: tuple[int, object] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if url.path == "/moved/loki/api/v1/query_range":
                    self.send_response(302)
                    self.send_header("Location", "/login")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if url.path == "/loki/api/v1/query_range":
                    found = outer.loki({name: v[0] for name, v in urllib.parse.parse_qs(url.query).items()})
                elif url.path == "/logs-*/_search":
                    found = outer.search(json.loads(body))
                else:
                    found = "<html>log in</html>"
                status, said = outer.answer or (200, found)
                text = (said if isinstance(said, str) else json.dumps(said)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_arguments: object) -> None:
                """Write no log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def entries(self) -> Iterator[tuple[int, str, str]]:
        """Time in ns, level and message of each line: they have microseconds of their own, as in a real store."""
        for number, line in enumerate(self.file.read_text().splitlines()):
            at, level, message = LINE.fullmatch(line).groups()  # type: ignore[union-attr]
            seconds = int(datetime.fromisoformat(at).timestamp())
            yield seconds * 10**9 + number * 1000, level.lower(), message

    def loki(self, query: dict[str, str]) -> object:
        """Answer /loki/api/v1/query_range, forward and limited."""
        found = re.fullmatch(r'(\{job="syslog"\}) \|~ ("(?:[^"\\]|\\.)*")', query["query"])
        assert found is not None
        assert query["direction"] == "forward"
        wanted, first, limit = json.loads(found[2]), int(query["start"]), int(query["limit"])
        rows = [row for row in self.entries() if wanted in row[2] and row[0] >= first][:limit]
        result = [
            {
                "stream": {"host": "web1.example.com", "level": level, "copy": str(copy)},
                "values": [[str(at), text] for at, mine, text in rows if mine == level],
            }
            for copy in range(self.streams)
            for level in sorted({row[1] for row in rows})
        ]
        return {"status": "success", "data": {"resultType": "streams", "result": result}}

    def search(self, query: dict[str, Any]) -> object:
        """Answer _search with all documents in one page."""
        assert query["track_total_hits"] is True
        between, text = query["query"]["bool"]["filter"]
        assert between["range"]["@timestamp"]["format"] == "epoch_millis"
        wanted = text["query_string"]["query"].strip("*")
        hits = [
            {
                "_index": "logs-1",
                "_id": f"{copy}-{at}",
                "sort": [at // 10**6],
                "_source": {
                    "@timestamp": datetime.fromtimestamp(at / 1e9, UTC).isoformat(),
                    "message": message,
                    "host": {"name": "web1"},
                    "log": {"level": level},
                },
            }
            for copy in range(self.streams)
            for at, level, message in self.entries()
            if wanted in message
        ]
        return {
            "timed_out": False,
            "_shards": {"total": 1, "failed": 0},
            "hits": {"total": {"value": len(hits), "relation": "eq"}, "hits": hits},
        }


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with nothing in it."""
    file = tmp_path / "all.log"
    file.touch()
    made = Store(file)
    yield made
    made.server.shutdown()
    made.server.server_close()


def judged(store: Store, kind: str, **changes: object) -> Judgement:
    """Send messages, and judge what arrives."""
    places = {
        "loki": {"loki": {"url": store.url, "query": '{job="syslog"}'}},
        "moved": {"loki": {"url": f"{store.url}/moved", "query": '{job="syslog"}'}},
        "opensearch": {
            "opensearch": {"url": store.url, "index": "logs-*"},
            "fields": {"host": "host.name", "level": "log.level"},
        },
    }
    given = {
        "aggregator": places[kind],
        "send": {"file": str(store.file)},
        "named": {"web1": "web1"},
        "multi_line": False,
        "within": "1s",
        "look_on": "0s",
        "burst": 10,
    }
    section = LogDelivery.model_validate(given | changes)
    return judge.judge(probe.deliver(section, HOSTS), section)


@pytest.mark.parametrize("kind", ["loki", "opensearch"])
def test_all_arrive(store: Store, kind: str) -> None:
    found = judged(store, kind)
    assert (found.verdict, found.notes) == (Verdict.PASS, ())
    assert found.reason.endswith("with host, time and level")


@pytest.mark.parametrize("kind", ["loki", "opensearch"])
def test_doubles_are_seen_over_streams(store: Store, kind: str) -> None:
    store.streams = 2
    found = judged(store, kind)
    assert found.verdict is Verdict.FAIL
    assert "13 of its 13 messages arrived twice or more often" in found.reason


@pytest.mark.parametrize(
    ("kind", "answer", "says"),
    [
        ("loki", (503, "upstream connect error"), "it answered HTTP 503: upstream connect error"),
        ("loki", (401, "no"), "it does not let us in (HTTP 401)"),
        (
            "loki",
            (200, "<html>log in</html>"),
            "the log store's answer is not JSON, perhaps the page of a login",
        ),
        (
            "loki",
            (200, {"status": "success", "data": {"resultType": "matrix", "result": []}}),
            "is `query` the selector",
        ),
        (
            "loki",
            (
                200,
                {
                    "status": "success",
                    "warnings": ["one ingester is down"],
                    "data": {"resultType": "streams"},
                },
            ),
            "its answer is not whole",
        ),
        ("moved", None, "it redirects elsewhere, perhaps to a login"),
        ("opensearch", (200, {"timed_out": True, "hits": {"hits": []}}), "its search did not end"),
        ("opensearch", (200, {"_shards": {"failed": 1}, "hits": {"hits": []}}), "some of its shards failed"),
        (
            "opensearch",
            (200, {"hits": {"total": {"value": 12000, "relation": "eq"}, "hits": []}}),
            "it counts 12000 documents and returned 0",
        ),
        ("opensearch", (200, []), "is not what its interface says"),
    ],
)
def test_part_of_an_answer_is_unknown(store: Store, kind: str, answer: Any, says: str) -> None:
    store.answer = answer
    found = judged(store, kind)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert says in found.reason


def test_entries_beyond_one_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_deploygate.clients.log_stores._PAGE", 4)
    assert judged(store, "loki").verdict is Verdict.PASS
