"""Whether errors without a series are none, requests of our own on a real server, and Prometheus' odd answers."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import prometheus_server
import pytest

from pytest_deploygate.checks.errors import judge, probe
from pytest_deploygate.checks.errors.facts import Found
from pytest_deploygate.checks.errors.section import Errors
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lab.services.monitoring_history import samples
from pytest_deploygate.model import CannotTell, Verdict

LABELS = {"job": "app", "instance": "a:1", "code": "200"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[prometheus_server.Server]:
    now = time.time()
    times = [now - 5.0 * n for n in range(240, 0, -1)]
    lines = samples("requests_total", LABELS, [(at, 40 * n) for n, at in enumerate(times)])
    lines += samples("few_total", LABELS, [(at, n) for n, at in enumerate(times)])
    with prometheus_server.running(tmp_path_factory.mktemp("prometheus"), lines) as found:
        yield found


def errors(requests: str, failed: str, **more: object) -> Errors:
    return Errors.model_validate(
        {
            "counters": [{"name": "app", "requests": requests, "errors": failed}],
            "balancer": "none",
            "burn_rates": [],
            "window": "15m",
        }
        | more
    )


def test_errors_without_a_series(server: prometheus_server.Server) -> None:
    none = probe.counts(server.settings, errors("requests_total", 'requests_total{code=~"5.."}'))
    assert none.sources[0].unseen == ""
    misspelt = probe.counts(server.settings, errors("requests_total", 'requests_total{status=~"5.."}'))
    assert misspelt.sources[0].unseen == "no series of requests_total has the label status"
    other = probe.counts(server.settings, errors("requests_total", "errors_total"))
    assert other.sources[0].unseen == "it is another metric than requests_total"


@pytest.fixture
def page() -> Iterator[int]:
    """A page that is good but for every tenth request, while `/bad`."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            bad = self.path == "/bad" and len(asked) % 10 == 0
            self.send_response(500 if bad else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_port
        running.shutdown()


@pytest.mark.parametrize(("path", "verdict"), [("/good", Verdict.PASS), ("/bad", Verdict.FAIL)])
def test_as_many_requests_of_our_own_as_are_lacking(
    server: prometheus_server.Server, page: int, path: str, verdict: Verdict
) -> None:
    top_up = {
        "allow": "here",
        "target": {"scheme": "http", "host": "127.0.0.1", "port": page},
        "endpoints": [{"path": path}],
        "per_second": 200,
    }
    criterion = errors("few_total", 'few_total{code=~"5.."}', budget=0.01, top_up=top_up)
    found = probe.counts(server.settings, criterion)
    found = fresh(found)
    missing = judge.lacking(found, criterion)
    assert 100 < missing.requests < 300
    assert criterion.top_up is not None
    budget = budgets.unrecorded("golive.errors")
    with pytest.raises(CannotTell, match=r"set `errors.top_up.allow: prod`"):
        probe.topped_up(found, criterion.top_up, missing, "prod", budget)
    whole = probe.topped_up(found, criterion.top_up, missing, "here", budget)
    assert judge.judge(whole, criterion).verdict is verdict


def fresh(found: Found) -> Found:
    """Return the counts as they were when the last sample came: nothing scrapes this server's history."""
    source = found.sources[0]
    windows = tuple(replace(w, requests=replace(w.requests, newest_age_s=0.0)) for w in source.windows)
    return replace(found, sources=(replace(source, windows=windows),))


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, b"<html>please log in</html>", "no JSON"),
        (503, b"no server is available", "HTTP 503 and no JSON"),
        (302, b"", "HTTP 302|redirect"),
        (
            200,
            b'{"status":"success","warnings":["store down"],"data":{"resultType":"scalar","result":[1,"1"]}}',
            "partial answer",
        ),
        (200, b'{"status":"success","data":{"resultType":"vector","result":[]}}', "not a number|scalar"),
    ],
)
def test_what_is_no_prometheus_is_said(status: int, body: bytes, says: str) -> None:
    """By documentation: answers of proxies, logins and stores behind them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/login")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        where = Prometheus(url=f"http://127.0.0.1:{running.server_port}", timeout=timedelta(seconds=5))
        with pytest.raises(CannotTell, match=says):
            probe.counts(where, errors("requests_total", "errors_total"))
        running.shutdown()
