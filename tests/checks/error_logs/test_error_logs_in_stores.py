"""Errors in Loki and OpenSearch: servers of the documented interfaces, by documentation, not the products."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pytest_deploygate.checks.error_logs import judge, probe
from pytest_deploygate.checks.error_logs.facts import Compared
from pytest_deploygate.checks.error_logs.section import ErrorLogs
from pytest_deploygate.model import Judgement, Verdict

NOW = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
BEGIN = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)


class Store:
    """A log store with entries (time, level, text); its pages are small."""

    page = 7

    def __init__(self) -> None:
        self.entries: list[tuple[datetime, str, str]] = []
        self.fails_at: int | None = None
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                url = urllib.parse.urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if url.path == "/loki/api/v1/query_range":
                    said = outer.loki({name: v[0] for name, v in urllib.parse.parse_qs(url.query).items()})
                else:
                    said = outer.search(json.loads(body))
                text = json.dumps(said).encode()
                self.send_response(503 if outer.asked == outer.fails_at else 200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_arguments: object) -> None:
                """Write no log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def loki(self, query: dict[str, str]) -> object:
        """Answer query_range forward: from `start` on, before `end`, at most `limit` lines, by level."""
        assert query["query"] == '{job="app"}'
        first, end, limit = int(query["start"]), int(query["end"]), int(query["limit"])
        rows = [
            (int(at.timestamp()) * 10**9, level, text)
            for at, level, text in sorted(self.entries)
            if first <= int(at.timestamp()) * 10**9 < end
        ][:limit]
        result = [
            {
                "stream": {"level": level},
                "values": [[str(at), text] for at, mine, text in rows if mine == level],
            }
            for level in sorted({row[1] for row in rows})
        ]
        return {"status": "success", "data": {"resultType": "streams", "result": result}}

    def search(self, query: dict[str, object]) -> object:
        """Answer _search: sorted by time, at most `size` documents."""
        between = query["query"]["bool"]["filter"][0]["range"]["@timestamp"]  # type: ignore[index]
        found = [
            {
                "_index": "app-1",
                "_id": str(number),
                "sort": [int(at.timestamp() * 1000)],
                "_source": {"message": text, "log": {"level": level}},
            }
            for number, (at, level, text) in enumerate(sorted(self.entries))
            if between["gte"] <= at.timestamp() * 1000 <= between["lte"]
        ]
        return {"timed_out": False, "_shards": {"failed": 0},
                "hits": {"total": {"value": len(found), "relation": "eq"}, "hits": found[: query["size"]]}}  # type: ignore[misc] # fmt: skip


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with an entry every half an hour of both nights."""
    monkeypatch.setattr("pytest_deploygate.clients.log_stores._PAGE", Store.page)
    made = Store()
    for begin in (BEGIN - timedelta(days=7), BEGIN):
        made.entries += [(begin + timedelta(minutes=30 * n), "info", f"tick {n}") for n in range(16)]
    yield made
    made.server.shutdown()
    made.server.server_close()


def compared(store: Store, kind: str) -> tuple[Compared, Judgement]:
    """Read the store, and judge."""
    places = {
        "loki": {"loki": {"url": store.url, "query": '{job="app"}'}},
        "opensearch": {"opensearch": {"url": store.url, "index": "app-*"}, "fields": {"level": "log.level"}},
    }
    section = ErrorLogs.model_validate({"sources": [{"name": "app", **places[kind]}]})
    found = probe.compare(section, {}, NOW)
    return found, judge.judge(found, section)


@pytest.mark.parametrize("kind", ["loki", "opensearch"])
def test_all_pages_are_read(store: Store, kind: str) -> None:
    found, judged = compared(store, kind)
    assert judged.verdict is Verdict.PASS
    assert (found.sources[0].now.entries, found.sources[0].before.entries) == (16, 16)


def test_a_new_error_in_loki(store: Store) -> None:
    """Seven entries of one time are more than a page has beside the others."""
    store.entries += [
        (BEGIN + timedelta(minutes=5, seconds=n), "error", f"boom of {n}\nKeyError: {n}") for n in range(6)
    ]
    _, judged = compared(store, "loki")
    assert judged.verdict is Verdict.FAIL
    assert "app: new error, 6 times, first at 22:05 UTC: boom of * | KeyError: *" in judged.reason


def test_a_new_error_in_opensearch(store: Store) -> None:
    for begin, text in ((BEGIN - timedelta(days=7), "usual"), (BEGIN, "boom")):
        store.entries += [
            (begin + timedelta(minutes=5, seconds=n), "error", f"{text} of {n}") for n in range(6)
        ]
    _, judged = compared(store, "opensearch")
    assert judged.verdict is Verdict.FAIL
    assert "app: new error, 6 times, first at 22:05 UTC: boom of *" in judged.reason


@pytest.mark.parametrize("kind", ["loki", "opensearch"])
def test_a_page_that_fails_makes_all_unknown(store: Store, kind: str) -> None:
    store.fails_at = 2
    _, judged = compared(store, kind)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "it answered HTTP 503" in judged.reason
