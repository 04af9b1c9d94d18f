"""What records and Prometheus know of a target; implausible data is unknown."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_deploygate.checks.uptime.judge import judge
from pytest_deploygate.checks.uptime.probe.record import Writer
from pytest_deploygate.checks.uptime.probe.uptime import measure
from pytest_deploygate.checks.uptime.section import Uptime
from pytest_deploygate.model import CannotTell, Verdict

T0 = 1_700_000_000.0
DAY = 86400


def uptime(tmp_path: Path, **more) -> Uptime:
    told = {"records": [str(tmp_path / "*.watch")], "targets": [{"name": "front", "url": "http://front/"}]}
    return Uptime.model_validate(told | more)


def record(
    tmp_path: Path, vantage: str, *runs: tuple[float, list[tuple[float, bool | None]]], **more
) -> Path:
    header = {
        "inventory": "prod",
        "vantage": vantage,
        "t0": T0,
        "targets": {"front": "http://front/ 200"},
    } | more
    file = tmp_path / f"{vantage}.watch"
    with Writer(file, header) as writer:
        for at, samples in runs:
            writer.append({"run": 1, "at": at, "until": T0 + DAY, "every_s": 5.0, "pid": 1})
            for moment, up in samples:
                writer.append({"at": moment, "n": "front", "up": up, "ms": 1.0})
    return file


def day(*, down=(), unseen=()) -> list[tuple[float, bool | None]]:
    return [
        (T0 + at, not any(a <= at < b for a, b in down))
        for at in range(0, DAY + 5, 5)
        if not any(a <= at < b for a, b in unseen)
    ]


def verdict(found: Uptime):
    return judge(measure(found, found.targets[0], "prod"), found)


def test_a_day_on_record_passes_with_the_t0_that_it_declares(tmp_path: Path) -> None:
    record(tmp_path, "a", (T0, day()))
    assert verdict(uptime(tmp_path)).verdict is Verdict.PASS


def test_a_watch_that_was_killed_for_an_hour_cannot_tell(tmp_path: Path) -> None:
    samples = day(unseen=[(3600, 7200)])
    record(tmp_path, "a", (T0, samples[:720]), (T0 + 7200, samples[720:]))
    found = verdict(uptime(tmp_path))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "3600 s were not observed" in found.reason
    assert any("started 2 times" in note for note in found.notes)


def test_failures_while_our_own_network_was_down_are_unknown(tmp_path: Path) -> None:
    samples = [(at, None if T0 + 600 <= at < T0 + 900 else up) for at, up in day()]
    record(tmp_path, "a", (T0, samples))
    found = verdict(uptime(tmp_path))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "300 s passed while the network of the watch itself was down" in found.reason


def test_where_the_clock_went_back_nothing_is_believed(tmp_path: Path) -> None:
    """A restart with a clock that is 1,000 s behind covers 1,000 s twice: that time is unknown."""
    samples = day()
    record(tmp_path, "a", (T0, samples[:720]), (T0 + 2600, samples[520:]))
    found = verdict(uptime(tmp_path))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert any("the clock went back" in note for note in found.notes)
    assert {r.name: r.value for r in found.readings}["unknown"] >= 990


def test_three_vantage_points_outvote_one_that_lies(tmp_path: Path) -> None:
    record(tmp_path, "a", (T0, day()))
    record(tmp_path, "b", (T0, day()))
    record(tmp_path, "c", (T0, day(down=[(0, 9000)])))
    found = verdict(uptime(tmp_path))
    assert found.verdict is Verdict.PASS
    assert "3 vantage points" in found.reason


def test_one_observer_is_not_counted_twice(tmp_path: Path) -> None:
    record(tmp_path, "a", (T0, day()))
    (tmp_path / "copy.watch").write_bytes((tmp_path / "a.watch").read_bytes())
    with pytest.raises(CannotTell, match="one observer would be counted twice"):
        verdict(uptime(tmp_path))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"inventory": "staging"}, "is of the inventory staging"),
        ({"targets": {"front": "http://old/ 200"}}, "another target"),
        ({"targets": {"back": "http://front/ 200"}}, "has a target front"),
    ],
)
def test_a_record_of_something_else_tells_nothing(tmp_path: Path, more: dict, words: str) -> None:
    record(tmp_path, "a", (T0, day()), **more)
    with pytest.raises(CannotTell, match=words):
        verdict(uptime(tmp_path))


def test_no_record_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="deploygate watch --inventory prod --detach"):
        verdict(uptime(tmp_path))


def test_a_changed_record_is_not_believed(tmp_path: Path) -> None:
    file = record(tmp_path, "a", (T0, day(down=[(600, 900)])))
    file.write_text(file.read_text().replace('"up":false', '"up":true'))
    with pytest.raises(CannotTell, match="the record was changed"):
        verdict(uptime(tmp_path))


def test_records_that_declare_different_times_are_refused(tmp_path: Path) -> None:
    record(tmp_path, "a", (T0, day()))
    record(tmp_path, "b", (T0, day()), t0=T0 + 60)
    assert "different times t0" in verdict(uptime(tmp_path)).reason


# These answers are built from the documented format of the HTTP API; a real Prometheus: test_probe_prometheus.py.


class Prometheus:
    """Answers `/api/v1/query` as documented, and keeps the queries."""

    def __init__(self) -> None:
        self.answer: object = None
        self.questions: list[dict[str, list[str]]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.questions.append(urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query))
                raw = outer.answer if isinstance(outer.answer, bytes) else json.dumps(outer.answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def holds(self, *series: list[tuple[float, bool | None]], kind: str = "matrix") -> None:
        result = [
            {
                "metric": {"__name__": "probe_success", "instance": "front", "replica": str(n)},
                "values": [[at, "1" if up else "0"] for at, up in values],
            }
            for n, values in enumerate(series)
        ]
        self.answer = {"status": "success", "data": {"resultType": kind, "result": result}}


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    found = Prometheus()
    yield found
    found.http.shutdown()
    found.http.server_close()


def from_prometheus(prometheus: Prometheus, tmp_path: Path) -> Uptime:
    return uptime(
        tmp_path,
        t0=datetime.fromtimestamp(T0, UTC),
        prometheus={"url": f"http://127.0.0.1:{prometheus.http.server_port}"},
        targets=[{"name": "front", "prometheus": 'probe_success{instance="front"}'}],
    )


def test_prometheus_is_asked_for_raw_samples_and_never_for_an_average(
    prometheus: Prometheus, tmp_path: Path
) -> None:
    prometheus.holds(day())
    assert verdict(from_prometheus(prometheus, tmp_path)).verdict is Verdict.PASS
    (question,) = prometheus.questions
    assert question["query"] == ['probe_success{instance="front"}[87600s]']


def test_an_hour_without_the_collector_is_unknown(prometheus: Prometheus, tmp_path: Path) -> None:
    prometheus.holds(day(unseen=[(3600, 7200)]))
    found = verdict(from_prometheus(prometheus, tmp_path))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "3600 s were not observed" in found.reason


def test_an_outage_in_prometheus_fails(prometheus: Prometheus, tmp_path: Path) -> None:
    prometheus.holds(day(down=[(600, 710)]))
    assert verdict(from_prometheus(prometheus, tmp_path)).verdict is Verdict.FAIL


def test_a_scrape_interval_of_a_minute_cannot_pass(prometheus: Prometheus, tmp_path: Path) -> None:
    prometheus.holds([(T0 + at, True) for at in range(0, DAY + 60, 60)])
    assert "sampled only every 60 s" in verdict(from_prometheus(prometheus, tmp_path)).reason


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": "error", "errorType": "bad_data", "error": "parse error"}, "parse error"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "no samples"),
        ({"status": "success", "data": {"resultType": "vector", "result": []}}, "vector"),
        ({"status": "success", "warnings": ["a store was down"], "data": {}}, "a store was down"),
        (b"<html>login</html>", "no JSON"),
        ([], "no JSON object"),
    ],
)
def test_half_an_answer_is_no_answer(
    prometheus: Prometheus, tmp_path: Path, answer: object, words: str
) -> None:
    prometheus.answer = answer
    with pytest.raises(CannotTell, match=words):
        verdict(from_prometheus(prometheus, tmp_path))


def test_a_prometheus_that_is_down_is_said(prometheus: Prometheus, tmp_path: Path) -> None:
    found = from_prometheus(prometheus, tmp_path)
    prometheus.http.shutdown()
    prometheus.http.server_close()
    with pytest.raises(CannotTell, match="does not answer"):
        verdict(found)
