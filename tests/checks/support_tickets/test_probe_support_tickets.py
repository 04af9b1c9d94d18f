"""Counting tickets: each tracker by its documentation, on a local server that checks each request strictly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pytest_deploygate.checks.support_tickets import probe
from pytest_deploygate.checks.support_tickets.facts import TicketCounts
from pytest_deploygate.checks.support_tickets.section import SupportTickets
from pytest_deploygate.model import CannotTell

NOW = datetime(2026, 12, 2, 8, tzinfo=UTC)
SINCE = datetime(2026, 12, 1, 22, tzinfo=UTC)
TOKEN = "token-of-the-tracker"
Query = dict[str, list[str]]
#: Method, path, query, headers and body in; status, document and headers out.
Answers = Callable[[str, str, Query, dict[str, str], Any], tuple[int, Any, dict[str, str]]]


@contextmanager
def serving(answers: Answers) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            parts = urlsplit(self.path)
            asked = (self.command, parts.path, parse_qs(parts.query), dict(self.headers), body)
            status, said, headers = answers(*asked)
            raw = json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET  # noqa: N815 (the name that the server calls)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def jira_cloud(method: str, path: str, _query: Query, headers: dict[str, str], body: Any) -> Any:
    assert (method, path) == ("POST", "/rest/api/3/search/approximate-count")
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/json"
    return 200, {"count": _jql(body["jql"])}, {}


def jira(method: str, path: str, query: Query, _headers: dict[str, str], _body: Any) -> Any:
    assert (method, path, query["maxResults"]) == ("GET", "/rest/api/2/search", ["0"])
    return 200, {"total": _jql(query["jql"][0]), "issues": []}, {}


def _jql(said: str) -> int:
    after = 'project = "SUP" AND created >= "-600m" AND (P1)'
    before = 'project = "SUP" AND created >= "-10680m" AND created < "-10080m" AND (P1)'
    return {after: 4, before: 1}[said]


def github(method: str, path: str, query: Query, headers: dict[str, str], _body: Any) -> Any:
    assert (method, path) == ("GET", "/search/issues")
    assert headers["Accept"] == "application/vnd.github+json"
    after = "repo:SUP is:issue created:2026-12-01T22:00:00Z..2026-12-02T08:00:00Z P1"
    before = "repo:SUP is:issue created:2026-11-24T22:00:00Z..2026-11-25T08:00:00Z P1"
    return (
        200,
        {"total_count": {after: 4, before: 1}[query["q"][0]], "incomplete_results": False, "items": []},
        {},
    )


def gitlab(method: str, path: str, query: Query, headers: dict[str, str], _body: Any) -> Any:
    assert (method, path, query["labels"]) == ("GET", "/api/v4/projects/SUP/issues", ["P1"])
    assert headers["PRIVATE-TOKEN"] == TOKEN
    span = (query["created_after"][0], query["created_before"][0])
    after, before = (
        ("2026-12-01T22:00:00Z", "2026-12-02T08:00:00Z"),
        ("2026-11-24T22:00:00Z", "2026-11-25T08:00:00Z"),
    )
    return 200, [{"iid": 1}], {"X-Total": {after: "4", before: "1"}[span]}


def servicenow(method: str, path: str, query: Query, _headers: dict[str, str], _body: Any) -> Any:
    assert (method, path, query["sysparm_count"]) == ("GET", "/api/now/stats/SUP", ["true"])
    at = "sys_created_onRELATIVE"
    after, before = f"{at}GE@minute@ago@600^P1", f"{at}GE@minute@ago@10680^{at}LT@minute@ago@10080^P1"
    return 200, {"result": {"stats": {"count": {after: "4", before: "1"}[query["sysparm_query"][0]]}}}, {}


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRACKER_TOKEN", TOKEN)
    return "env:TRACKER_TOKEN"


def count(system: str, url: str, token: str) -> TicketCounts:
    secret = {"private_token" if system == "gitlab" else "token": token}
    severities = [{"name": "blocker", "filter": "P1"}]
    settings = {"system": system, "url": url, "project": "SUP", "severities": severities, **secret}
    return probe.count(SupportTickets.model_validate(settings), SINCE, NOW)


@pytest.mark.parametrize(
    ("system", "answers"),
    [
        ("jira-cloud", jira_cloud),
        ("jira", jira),
        ("github", github),
        ("gitlab", gitlab),
        ("servicenow", servicenow),
    ],
)
def test_each_tracker_is_asked_as_documented(system: str, answers: Answers, token: str) -> None:
    with serving(answers) as url:
        found = count(system, url, token)
    assert [(one.name, one.since, one.before) for one in found.counts] == [("blocker", 4, 1)]


@pytest.mark.parametrize(
    ("system", "status", "said", "words"),
    [
        ("jira", 401, {}, "the token is not valid, or may not search"),
        ("jira", 400, {}, "does not understand the filter"),
        ("jira", 302, {}, "answered 302"),
        ("jira", 200, {"issues": []}, "another form than documented"),
        ("jira", 200, {"total": -1}, "another form than documented"),
        ("github", 200, {"total_count": 0, "incomplete_results": True}, "counted only a part"),
        ("gitlab", 200, [], "does not say how many there are"),
        ("servicenow", 200, {"result": []}, "another form than documented"),
    ],
)
def test_half_an_answer_is_no_count(system: str, status: int, said: Any, words: str, token: str) -> None:
    with serving(lambda *_: (status, said, {})) as url, pytest.raises(CannotTell, match=words) as raised:
        count(system, url, token)
    assert TOKEN not in str(raised.value)


def test_go_live_must_be_known_and_over() -> None:
    settings = SupportTickets.model_validate(
        {"system": "jira", "url": "http://127.0.0.1:9", "project": "SUP", "severities": [{"name": "blocker"}]}
    )
    with pytest.raises(CannotTell, match="go-live is unknown"):
        probe.count(settings, None, NOW)
    with pytest.raises(CannotTell, match="which has not come"):
        probe.count(settings, NOW, SINCE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"at": "2026-12-02T07:00:00Z", "since": {"blocker": 0}}', ""),
        ('{"at": "2026-12-02T07:00:00", "since": {}}', "no time zone"),
        ('{"since": {}}', "KeyError"),
        ('{"at": "2026-12-02T07:00:00Z", "since": {"blocker": "no"}}', "and no count"),
        ("[]", "TypeError"),
        ("{", "is not JSON"),
    ],
)
def test_a_file(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "counts.json"
    file.write_text(text)
    settings = SupportTickets.model_validate({"file": str(file), "severities": [{"name": "blocker"}]})
    if words:
        with pytest.raises(CannotTell, match=words):
            probe.count(settings, None, NOW)
    else:
        assert probe.count(settings, None, NOW).counts[0].since == 0


def test_a_hook_that_fails() -> None:
    settings = SupportTickets.model_validate(
        {"hook": "echo no >&2; exit 3", "severities": [{"name": "blocker"}]}
    )
    with pytest.raises(CannotTell, match="exit code 3: no"):
        probe.count(settings, None, NOW)
