"""A real Prometheus scrapes a small exporter of ours: histograms and uptime from it, and a partial answer counts as none."""

from __future__ import annotations

import http.server
import math
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from pytest_deploygate.checks.load.judge import server_histograms as judge_histograms
from pytest_deploygate.checks.load.probe import server_histograms
from pytest_deploygate.checks.load.section import ServerHistograms
from pytest_deploygate.checks.uptime import judge as judge_availability
from pytest_deploygate.checks.uptime.probe import uptime
from pytest_deploygate.checks.uptime.section import Uptime
from pytest_deploygate.clients import prometheus
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell, Verdict

BINARY = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(BINARY is None, reason="no prometheus here: apt install prometheus")
PATIENCE_S = 60
P99 = judge_histograms.Criterion(0.99, 0.5, 0.05)


@dataclass
class Exporter:
    """Shows a histogram and a probe's result on /metrics. While `silent` it answers 500, and a scrape fails."""

    quick: int = 0
    slow: int = 0
    up: int = 1
    silent: bool = False
    infinite: bool = True
    native: bool = False
    port: int = 0
    scrapes: list[float] = field(default_factory=list)

    def text(self) -> str:
        total = self.quick + self.slow
        lines = [f'took_seconds_bucket{{le="{le}"}} {self.quick}' for le in ("0.25", "0.5")]
        lines += [f'took_seconds_bucket{{le="2"}} {total}']
        lines += [f'took_seconds_bucket{{le="+Inf"}} {total}'] if self.infinite else []
        return "\n".join(["# TYPE took_seconds histogram", *lines, f"probe_success {self.up}", ""])

    def protobuf(self) -> bytes:
        """Return the histogram as a native one: io.prometheus.client.MetricFamily, delimited."""
        total = self.quick + self.slow
        # Buckets of schema 0 are powers of two: 0.25 to 0.5 s is number -1, 1 to 2 s is number 1.
        spans = _field(12, _field(1, _zigzag(-1)) + _field(2, 1)) + _field(
            12, _field(1, _zigzag(1)) + _field(2, 1)
        )
        deltas = _field(13, _zigzag(self.quick)) + _field(13, _zigzag(self.slow - self.quick))
        shape = _field(5, _zigzag(0)) + _field(6, struct.pack("<d", 1e-9), wire=1) + _field(7, 0)
        counts = _field(1, total) + _field(2, struct.pack("<d", 0.3 * total), wire=1)
        metric = _field(7, counts + shape + spans + deltas)
        family = _field(1, b"took_seconds") + _field(3, 4) + _field(4, metric)
        return _varint(len(family)) + family


def _varint(number: int) -> bytes:
    more, number = number & 127, number >> 7
    return bytes([more | 128]) + _varint(number) if number else bytes([more])


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _field(number: int, value: int | bytes, wire: int = 2) -> bytes:
    """Encode a field of a Protocol Buffers message: a number, a message, or 8 bytes (wire type 1)."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | wire) + (_varint(len(value)) if wire == 2 else b"") + value


PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


@contextmanager
def exporting() -> Iterator[Exporter]:
    exporter = Exporter()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = exporter.protobuf() if exporter.native else exporter.text().encode()
            self.send_response(500 if exporter.silent else 200)
            self.send_header("Content-Type", PROTOBUF if exporter.native else "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    exporter.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield exporter
    server.shutdown()
    server.server_close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(folder: Path, exporter: Exporter, more: str = "", *options: str) -> Iterator[str]:
    """Start Prometheus on a free port of loopback and return its address once it is ready."""
    port = free_port()
    file = folder / "prometheus.yml"
    file.write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 400ms}\n"
        "scrape_configs:\n"
        f"  - {{job_name: api, static_configs: [{{targets: ['127.0.0.1:{exporter.port}']}}]}}\n{more}"
    )
    command = [BINARY or "", f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error", *options]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait(lambda: answers(f"{address}/-/ready"), (folder / "log").read_text)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def wait(done: Callable[[], object], said: Callable[[], str] = str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < until, said()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    with exporting() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory, exporter: Exporter) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("prometheus"), exporter) as found:
        yield found


def holds(address: str, expression: str) -> bool:
    """Return whether Prometheus finds something for an expression."""
    answer = requests.get(f"{address}/api/v1/query", {"query": expression}, timeout=10).json()
    return bool(answer["data"]["result"])


def histogram(address: str, **more) -> ServerHistograms:
    return ServerHistograms.model_validate(
        {"url": address, "metric": "took_seconds", "selector": 'job="api"', "window": "5m"} | more
    )


def counted(address: str, exporter: Exporter) -> None:
    """Wait until the newest scrape has what the exporter shows now."""
    total = exporter.quick + exporter.slow
    wait(lambda: holds(address, f'took_seconds_bucket{{le="+Inf"}} == {total}'))


@pytest.mark.long
def test_histograms_of_a_real_prometheus(address: str, exporter: Exporter) -> None:
    """5,000 quick requests pass; 500 slow ones more fail, counted exactly, with a restart of the server in between."""
    counted(address, exporter)
    exporter.quick = 5000
    counted(address, exporter)
    found = server_histograms.server_histogram(histogram(address))
    assert sum(scrape.at_or_below[-1] for scrape in found.scrapes) == 5000
    assert found.bounds_s == (0.25, 0.5, 2.0, float("inf"))
    assert judge_histograms.judge_histogram(found, P99).verdict is Verdict.PASS
    inside = judge_histograms.judge_histogram(found, judge_histograms.Criterion(0.99, 0.4, 0.05))
    assert inside.verdict is Verdict.PASS, "an empty bucket around the limit hides nothing"
    exporter.quick, exporter.slow = 100, 500
    counted(address, exporter)
    found = server_histograms.server_histogram(histogram(address))
    assert found.resets == 1
    judged = judge_histograms.judge_histogram(found, P99)
    assert judged.verdict is Verdict.FAIL
    assert "500 of 5600 requests" in judged.reason
    inside = judge_histograms.judge_histogram(found, judge_histograms.Criterion(0.99, 1.0, 0.05))
    assert inside.verdict is Verdict.INCONCLUSIVE
    assert "inside the bucket 0.5 s to 2 s, which holds 500 of 5600" in inside.reason


@pytest.mark.long
def test_a_server_without_a_last_bucket_and_a_new_one_are_not_passed_over(tmp_path: Path) -> None:
    """Two servers, both slow for some: one shows no `+Inf`, and one had counted before it was first scraped."""
    with exporting() as quick, exporting() as other:
        other.quick, other.slow, other.silent = 0, 900, True
        job = f"  - {{job_name: other, static_configs: [{{targets: ['127.0.0.1:{other.port}']}}]}}\n"
        with running(tmp_path, quick, job) as address:
            counted(address, quick)
            quick.quick = 5000
            counted(address, quick)
            alone = server_histograms.server_histogram(histogram(address, selector=""))
            assert judge_histograms.judge_histogram(alone, P99).verdict is Verdict.PASS
            other.silent = False
            wait(lambda: holds(address, 'took_seconds_bucket{job="other", le="+Inf"} == 900'))
            new = judge_histograms.judge_histogram(
                server_histograms.server_histogram(histogram(address, selector="")), P99
            )
            assert new.verdict is Verdict.INCONCLUSIVE
            assert "900 requests were counted before the first scrape of 1 of 2 servers" in new.reason
            other.infinite, other.slow = False, 901
            wait(lambda: holds(address, 'took_seconds_bucket{job="other", le="2"} == 901'))
            odd = judge_histograms.judge_histogram(
                server_histograms.server_histogram(histogram(address, selector="")), P99
            )
            assert odd.verdict is Verdict.INCONCLUSIVE
            assert 'has no bucket le="+Inf"' in odd.reason


@pytest.mark.long
def test_native_histograms_are_read(tmp_path: Path) -> None:
    """A server alone, one beside a classic one, and one whose histogram becomes native while the window lasts."""
    with exporting() as first, exporting() as other:
        other.native, other.quick = True, 100
        job = f"  - {{job_name: other, static_configs: [{{targets: ['127.0.0.1:{other.port}']}}]}}\n"
        with running(tmp_path, first, job, "--enable-feature=native-histograms") as address:
            wait(lambda: holds(address, 'histogram_count(took_seconds{job="other"}) == 100'))
            other.quick = 5100
            wait(lambda: holds(address, 'histogram_count(took_seconds{job="other"}) == 5100'))
            native = server_histograms.server_histogram(histogram(address, selector='job="other"'))
            assert native.bounds_s == (0.25, 0.5, math.inf)
            quick = judge_histograms.judge_histogram(native, P99)
            assert quick.verdict is Verdict.PASS, quick.reason
            counted(address, first)
            first.quick = 5000
            counted(address, first)
            both = server_histograms.server_histogram(histogram(address, selector=""))
            assert (both.series, both.unread) == (2, ())
            assert judge_histograms.judge_histogram(both, P99).verdict is Verdict.PASS
            other.slow = 900
            wait(lambda: holds(address, 'histogram_count(took_seconds{job="other"}) == 6000'))
            slow = judge_histograms.judge_histogram(
                server_histograms.server_histogram(histogram(address, selector='job="other"')), P99
            )
            assert slow.verdict is Verdict.FAIL
            assert "900 of" in slow.reason
            first.native, first.slow = True, 900
            wait(lambda: holds(address, 'count_over_time(took_seconds{job="api"}[1m]) >= 2'))
            with pytest.raises(CannotTell, match="a native histogram only since its last scrapes"):
                server_histograms.server_histogram(histogram(address))


def test_a_real_refusal_is_said(address: str) -> None:
    with pytest.raises(CannotTell, match=r"refused the query .* parse error"):
        server_histograms.server_histogram(histogram(address, selector="job=api"))
    with pytest.raises(CannotTell, match="no samples"):
        server_histograms.server_histogram(histogram(address, metric="tuck_seconds"))


@pytest.mark.long
def test_uptime_from_a_real_prometheus(address: str, exporter: Exporter) -> None:
    """Up all the time: pass. Not scraped for more than the budget: unknown, not up. Down for more: fail."""

    def watched(availability: int) -> Uptime:
        return Uptime.model_validate(
            {
                "t0": datetime.now(UTC),
                "window": "5s",
                "availability": availability,
                "prometheus": {"url": address},
                "targets": [{"name": "front", "prometheus": 'probe_success{job="api"}'}],
            }
        )

    def judged(told: Uptime):
        return judge_availability.judge(uptime.measure(told, told.targets[0], "prod"), told)

    def over(told: Uptime) -> None:
        """Wait for the end of the window, and for the scrapes after it."""
        wait(lambda: time.time() > told.t0.timestamp() + told.window.total_seconds() + 1)

    wait(lambda: holds(address, "probe_success == 1"))
    good = watched(20)
    over(good)
    assert judged(good).verdict is Verdict.PASS
    exporter.silent = True
    unseen = watched(20)
    over(unseen)
    exporter.silent = False
    wait(lambda: holds(address, "probe_success == 1"))
    found = judged(unseen)
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert "were not observed" in found.reason
    exporter.up = 0
    wait(lambda: holds(address, "probe_success == 0"))
    down = watched(60)
    over(down)
    exporter.up = 1
    assert judged(down).verdict is Verdict.FAIL


def test_a_part_of_an_answer_is_none(tmp_path: Path, exporter: Exporter) -> None:
    """If a store behind Prometheus is unreachable, it answers with success and a warning: that is not an answer."""
    nowhere = f"http://127.0.0.1:{free_port()}/read"
    with running(tmp_path, exporter, f"remote_read: [{{url: '{nowhere}', read_recent: true}}]\n") as address:
        with pytest.raises(CannotTell, match=r"returned a partial answer: .*remote_read"):
            server_histograms.server_histogram(histogram(address))
        with pytest.raises(CannotTell, match="returned a partial answer"):
            prometheus.ask(Prometheus(url=address), {"query": "up[1m]"}, "matrix")
