"""Reports of a small server that makes them from a real database, behind a form that logs in."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from pytest_deploygate.checks.reports import judge, probe
from pytest_deploygate.checks.reports.section import Report
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Verdict

ROWS = (
    'SELECT \'press-\' || n AS "Device", n * 100 AS "Readings", round(n / 3.0, 3) AS "Average" FROM generate_series(1, 3) n '
    "WHERE %(day)s < now()"
)
TOTAL = 'SELECT \'Total\' AS "Device", 600 AS "Readings"'
GOOD = "Device,Readings,Average\npress-1,100,0.33\npress-2,200,0.67\npress-3,300,1.00\nTotal,600,\n"


class _Platform(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, tuple[int, str]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Platform

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = form == {"username": ["viewer"], "password": ["right-1"]}
        self._answer(303 if good else 401, "", {"Set-Cookie": "session=abc; HttpOnly"} if good else {})

    def do_GET(self) -> None:
        if self.headers["Cookie"] != "session=abc":
            self._answer(302, "", {"Location": "/login"})
            return
        self._answer(*self.server.files[self.path.partition("?day=20")[0]], {})

    def _answer(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(text.encode()))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def platform() -> Iterator[_Platform]:
    with _Platform() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def _report(platform: _Platform, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Report:
    monkeypatch.setenv("VIEWER", "right-1")
    monkeypatch.setenv("WRONG", "wrong-1")
    given = {
        "name": "daily",
        "files": [{"url": f"{platform.url}/daily.csv?day={{day}}"}],
        "form": {"url": f"{platform.url}/login", "user": "viewer", "password": "env:VIEWER"},
        "rows": {"name": "per device", "sql": ROWS},
        "total": {"name": "of the day", "sql": f"{TOTAL};"},
    }
    return Report.model_validate(given | more)


def test_complete_report(platform: _Platform, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.files["/daily.csv"] = (200, GOOD)
    report = _report(platform, monkeypatch)
    judged = judge.judge(probe.generated(report, cluster), report)
    assert judged.verdict is Verdict.PASS, judged.reason


@pytest.mark.parametrize(
    ("file", "verdict", "said"),
    [
        ((200, GOOD[:60]), Verdict.FAIL, "has no row 'Total' with the total"),
        ((200, GOOD.replace("600", "599")), Verdict.FAIL, "Readings of Total is 599, the database has 600"),
        ((500, "Internal Server Error"), Verdict.FAIL, "answered 500 in place of the report"),
        ((403, "no"), Verdict.INCONCLUSIVE, "it does not let us in"),
        ((200, "<!doctype html>Log in"), Verdict.FAIL, "is an HTML page, not a file of the form CSV"),
    ],
)
def test_reports_that_are_not_whole(
    file: tuple[int, str],
    verdict: Verdict,
    said: str,
    platform: _Platform,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform.files["/daily.csv"] = file
    report = _report(platform, monkeypatch)
    judged = judge.judge(probe.generated(report, cluster), report)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


def test_query_with_a_mistake_is_unknown(
    platform: _Platform, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.files["/daily.csv"] = (200, GOOD)
    report = _report(platform, monkeypatch, rows={"name": "per device", "sql": "SELECT * FROM nowhere"})
    judged = judge.judge(probe.generated(report, cluster), report)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "the query 'per device' has no answer: db1" in judged.reason
    assert '"nowhere" does not exist' in judged.reason


def test_data_that_change_meanwhile_are_no_failure(
    platform: _Platform, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.files["/daily.csv"] = (200, GOOD)
    moving = f"{ROWS.replace('n * 100', 'extract(epoch FROM clock_timestamp()) * n')}"
    report = _report(platform, monkeypatch, rows={"name": "per device", "sql": moving})
    judged = judge.judge(probe.generated(report, cluster), report)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "changed meanwhile" in judged.reason


def test_login_that_is_refused_cannot_tell(
    platform: _Platform, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = {"url": f"{platform.url}/login", "user": "viewer", "password": "env:WRONG"}
    with pytest.raises(CannotTell, match=r"answered 401 and set no cookie when viewer logged in") as caught:
        probe.generated(_report(platform, monkeypatch, form=login), cluster)
    assert "wrong-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"files": [{"url": "https://app.example.com/daily"}]}, "add `format`"),
        ({"within": "5s", "timeout": "5s"}, "`timeout` must be longer than `within`"),
        ({"files": []}, "at least 1 item"),
    ],
)
def test_sections_that_say_too_little(
    wrong: dict[str, Any], said: str, platform: _Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=said):
        _report(platform, monkeypatch, **wrong)
