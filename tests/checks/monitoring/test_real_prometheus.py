"""Prometheus itself: just after a start, with targets that are dropped, twice there, silent or unreadable, and moved."""

from __future__ import annotations

import http.server
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import requests

from pytest_deploygate.checks.monitoring import judge, probe
from pytest_deploygate.checks.monitoring.section import Expected, Moved
from pytest_deploygate.clients import budget, prometheus
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import Judgement, Verdict

BINARY = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(BINARY is None, reason="this machine has no Prometheus")
PATIENCE_S = 60.0
LATELY = timedelta(seconds=30)


class Exporter:
    """Counts the requests to /counted, and tells it at /metrics; `told` replaces what it tells.

    So many of the next scrapes `fail`.
    """

    def __init__(self) -> None:
        self.counted, self.told, self.status, self.fail = 0, "", 200, 0

    def text(self) -> str:
        return self.told or f"# TYPE counted_total counter\ncounted_total {self.counted}\ncalm 1\n"


@pytest.fixture(scope="module")
def exporter() -> Iterator[tuple[Exporter, int]]:
    made = Exporter()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.counted += self.path == "/counted"
            body = made.text().encode() if self.path == "/metrics" else b"ok"
            fails = self.path == "/metrics" and made.fail > 0
            made.fail -= fails
            self.send_response(500 if fails else made.status if self.path == "/metrics" else 200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of a scrape that was ended with its Prometheus."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made, server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def started(exporter: tuple[Exporter, int], tmp_path_factory) -> Iterator[tuple[Prometheus, Judgement]]:
    """A server, and what was said of it as soon as it was ready."""
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "rules.yml").write_text(
        "groups:\n- name: g\n  rules:\n  - {alert: Down, expr: up == 0, labels: {severity: critical}}\n"
    )
    target = f"127.0.0.1:{exporter[1]}"
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{folder / 'rules.yml'}]\n"
        "scrape_configs:\n"
        f"  - {{job_name: api, static_configs: [{{targets: ['{target}']}}]}}\n"
        f"  - {{job_name: pods, static_configs: [{{targets: ['dropped:1']}}], "
        "relabel_configs: [{action: drop, source_labels: [__address__], regex: 'dropped:1'}]}\n"
    )
    command = [BINARY or "", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait(lambda: requests.get(f"{url}/-/ready", timeout=5).status_code == 200)
            asked = Prometheus.model_validate({"url": url})
            yield asked, judge.judge_server(probe.server(asked, EXPECTED), EXPECTED)
        finally:
            process.terminate()
            process.wait(30)


EXPECTED = Expected.model_validate(
    {"targets": [{"job": "api"}], "alerts": [{"name": "Down", "labels": {"severity": "critical"}}]}
)


def wait(done) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            if done():
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < until
        time.sleep(0.2)


def judged(asked: Prometheus, expected: Expected = EXPECTED) -> Judgement:
    return judge.judge_server(probe.server(asked, expected), expected)


def fresh(asked: Prometheus) -> Judgement:
    return judge.judge_freshness(probe.freshness(asked, EXPECTED), EXPECTED)


def healthy(asked: Prometheus) -> None:
    wait(lambda: judged(asked).verdict is Verdict.PASS and fresh(asked).verdict is Verdict.PASS)


def test_just_after_a_start_nothing_is_known(started) -> None:
    """The list of targets is empty then, and rules were not evaluated: neither good nor bad."""
    assert started[1].verdict is Verdict.INCONCLUSIVE, started[1].reason


@pytest.mark.long
def test_some_seconds_later_it_is_good(started) -> None:
    healthy(started[0])


def test_a_target_that_misses_one_scrape_is_up(started, exporter) -> None:
    """The next scrape is waited for, whichever of the two is asked first."""
    healthy(started[0])
    for asks in (judged, fresh):
        wait(lambda: [v for _, v in prometheus.raw(started[0], "up", LATELY)[0].samples[-5:]] == [1.0] * 5)
        exporter[0].fail = 1
        wait(lambda: not exporter[0].fail)
        found = asks(started[0])
        assert found.verdict is Verdict.PASS, found.reason


def test_a_dropped_target_is_named(started) -> None:
    healthy(started[0])
    more = [*EXPECTED.model_dump()["targets"], {"job": "pods", "instances": ["dropped:1"]}]
    expected = Expected.model_validate(EXPECTED.model_dump() | {"targets": more})
    # As it is a minute after a start: before that, what is absent may still come.
    seen = replace(probe.server(started[0], expected), running_s=3600.0)
    found = judge.judge_server(seen, expected)
    assert "the target dropped:1 of pods was discovered and dropped" in found.reason


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        ("<html>Please log in</html>\n", 200, "is not a valid start token"),
        ("", 500, "server returned HTTP status 500"),
        ("# nothing\n", 200, ""),
    ],
)
@pytest.mark.long
def test_a_target_that_tells_nothing(started, exporter, told: str, status: int, words: str) -> None:
    """Also where its old values stay for some minutes, and where it answers with no sample at all."""
    healthy(started[0])
    exporter[0].told, exporter[0].status = told, status
    try:
        wait(lambda: fresh(started[0]).verdict is Verdict.FAIL)
        assert words in judged(started[0]).reason
    finally:
        exporter[0].told, exporter[0].status = "", 200


def test_old_values_with_times_of_their_own(started, exporter) -> None:
    healthy(started[0])
    exporter[0].told = f"aged 1 {round((time.time() - 120) * 1000)}\n"
    try:
        wait(lambda: "tells old values with times of its own" in fresh(started[0]).reason)
    finally:
        exporter[0].told = ""


def moved(started, exporter, **more: object) -> Judgement:
    url = f"http://127.0.0.1:{exporter[1]}/counted"
    section = Moved.model_validate({"url": url, "metric": "counted_total", "within": "8s"} | more)
    found = probe.moved(started[0], section, budget.unrecorded("phase1.monitoring"))
    return judge.judge_moved(found, section)


def test_a_counter_that_we_move(started, exporter) -> None:
    healthy(started[0])
    assert moved(started, exporter).verdict is Verdict.PASS


def test_a_counter_that_counts_something_else(started, exporter) -> None:
    healthy(started[0])
    found = moved(started, exporter, metric="calm", within="3s")
    assert (found.verdict, "rose by 0" in found.reason) == (Verdict.FAIL, True)


def test_a_counter_that_is_not_there(started, exporter) -> None:
    found = moved(started, exporter, metric="no_such_total", within="2s")
    assert (found.verdict, "has no series no_such_total" in found.reason) == (Verdict.INCONCLUSIVE, True)


def test_requests_that_are_not_answered_as_declared(started, exporter) -> None:
    found = moved(started, exporter, status=204, within="3s", requests=3)
    assert (found.verdict, "0 of 3 requests" in found.reason) == (Verdict.INCONCLUSIVE, True)


@pytest.mark.long
def test_a_counter_that_others_move(started, exporter) -> None:
    """It rises by hundreds with or without us."""
    over = threading.Event()

    def busy() -> None:
        while not over.wait(0.05):
            exporter[0].counted += 20

    thread = threading.Thread(target=busy, daemon=True)
    thread.start()
    try:
        time.sleep(15)
        found = moved(started, exporter, requests=5)
    finally:
        over.set()
        thread.join()
    assert (found.verdict, "without us" in found.reason) == (Verdict.INCONCLUSIVE, True), found.reason
