"""Counts from a real Prometheus: first errors of a new series, restarts, and a target that does not answer any more."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import prometheus_server
import pytest

from pytest_deploygate.clients import counting, prometheus
from pytest_deploygate.lab.services.monitoring_history import samples

WINDOW = timedelta(minutes=2)
LONG = timedelta(hours=12)


class Exporter(http.server.ThreadingHTTPServer):
    """Shows what `text` is; while it is empty, every scrape fails."""

    text = 'http_requests_total{code="200"} 10\n'

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


@contextmanager
def exporting() -> Iterator[Exporter]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if exporter.text else 500)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(exporter.text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with Exporter(("127.0.0.1", 0), Handler) as exporter:
        threading.Thread(target=exporter.serve_forever, daemon=True).start()
        yield exporter
        exporter.shutdown()


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.long
def test_what_increase_does_not_count(tmp_path: Path) -> None:
    with (
        exporting() as exporter,
        prometheus_server.running(tmp_path, targets=[exporter.address], every_s=0.5) as server,
    ):

        def last(selector: str) -> float:
            return sum(sample.value for sample in prometheus.vector(server.settings, selector))

        def scraped_twice() -> bool:
            return last('count_over_time(http_requests_total{code="200"}[1m])') >= 2

        wait(scraped_twice)
        exporter.text = 'http_requests_total{code="200"} 30\nhttp_requests_total{code="500"} 7\n'
        wait(lambda: last('count_over_time(http_requests_total{code="500"}[1m])') >= 2)
        errors = 'http_requests_total{code="500"}'
        found = counting.read(server.settings, ["http_requests_total", errors], [WINDOW])
        assert found[errors, WINDOW].count == 7
        assert found[errors, WINDOW].appeared == 0
        assert last(f"increase({errors}[1m])") == 0
        assert found["http_requests_total", WINDOW].count == 20 + 7
        exporter.text = 'http_requests_total{code="200"} 4\n'
        wait(lambda: last('http_requests_total{code="200"}') == 4)
        again = counting.read(server.settings, ["http_requests_total"], [WINDOW])[
            "http_requests_total", WINDOW
        ]
        assert (again.count, again.resets) == (20 + 7 + 4, 1)
        exporter.text = ""
        wait(lambda: last("up") == 0)
        time.sleep(3)
        stale = counting.read(server.settings, ["http_requests_total"], [WINDOW])[
            "http_requests_total", WINDOW
        ]
        assert stale.stale


def test_long_window_is_read_at_steps_and_counts_the_same(tmp_path: Path) -> None:
    now = time.time()
    times = [now - 60.0 * n for n in range(12 * 60, 0, -1)]
    labels = {"job": "app", "instance": "a:1"}
    lines = samples("requests_total", labels, [(at, 10 * (n % 500)) for n, at in enumerate(times)])
    with prometheus_server.running(tmp_path, lines) as server:
        found = counting.read(server.settings, ["requests_total"], [WINDOW, LONG])
        long = found["requests_total", LONG]
        assert long.resets == 1
        # A step is two minutes, ten requests each, and the first and last one of the window are cut.
        assert long.count == pytest.approx(10 * (499 + 219), abs=50)
        assert found["requests_total", WINDOW].count <= 20
        nothing = counting.read(server.settings, ["absent_total"], [WINDOW])["absent_total", WINDOW]
        assert (nothing.series, nothing.stale) == (0, True)
