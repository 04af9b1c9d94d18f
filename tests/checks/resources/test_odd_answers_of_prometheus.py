"""Answers that are none, by documentation or as proxies give them: each is inconclusive with a sentence, never a pass."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from pytest_deploygate.checks.resources import judge, probe
from pytest_deploygate.checks.resources.section import Resources
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell, Verdict

Answer = tuple[int, str, dict[str, str]]
WANTED = Resources.model_validate({"watched": [{"name": "queue", "used": "queue_length", "limit": 10}]})


@contextmanager
def answering(answer: Callable[[str, dict[str, list[str]]], Answer]) -> Iterator[Prometheus]:
    """Serve what `answer` returns (status, body, headers) for a path and its parameters."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, body, headers = answer(parts.path, parse_qs(parts.query))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Prometheus(url=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def prometheus(value: str = "4", *, ahead_s: float = 0.0, **more: object) -> Callable[..., Answer]:
    """Return a Prometheus with one series of a value, whose clock is ahead of ours."""

    def answer(path: str, asked: dict[str, list[str]]) -> Answer:
        now, query = time.time() + ahead_s, asked["query"][0]
        if query == "time()":
            data: dict[str, object] = {"resultType": "scalar", "result": [now, f"{now}"]}
        elif path.endswith("query_range"):
            start, end, step = (float(asked[name][0]) for name in ("start", "end", "step"))
            times = [start + n * step for n in range(round((end - start) / step) + 1)]
            series = {"metric": {"q": "a"}, "values": [[at, value] for at in times]}
            data = {"resultType": "matrix", "result": [series]}
        else:
            data = {"resultType": "vector", "result": [{"metric": {"q": "a"}, "value": [now, f"{now - 5}"]}]}
        return 200, json.dumps({"status": "success", "data": data, **more}), {}

    return answer


def judged(server: Prometheus):
    found = probe.course(server, WANTED, WANTED.watched[0])
    return judge.judge_use(found, judge.of_use(WANTED, WANTED.watched[0]))


def test_the_stand_in_passes_when_nothing_is_odd() -> None:
    with answering(prometheus()) as server:
        assert judged(server).verdict is Verdict.PASS


def test_a_series_that_is_gone_until_the_next_scrape_has_not_ended() -> None:
    usual, failed_at = prometheus(), time.time()
    target = {"__name__": "up", "job": "queue", "instance": "a:9100"}

    def answer(path: str, asked: dict[str, list[str]]) -> Answer:
        query, again = asked["query"][0], time.time() > failed_at + 1
        samples = [(failed_at - 1, "1"), (failed_at, "0"), *([(failed_at + 1, "1")] if again else [])]
        if query.startswith("up{"):
            data = {"resultType": "matrix", "result": [{"metric": target, "values": samples}]}
        elif query == "up == 0":
            gone = [] if again else [{"metric": target, "value": samples[-1]}]
            data = {"resultType": "vector", "result": gone}
        elif query.startswith("timestamp(") and not again:
            data = {"resultType": "vector", "result": []}
        else:
            return usual(path, asked)
        return 200, json.dumps({"status": "success", "data": data}), {}

    with answering(answer) as server:
        assert judged(server).verdict is Verdict.PASS


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_values_that_are_no_numbers(value: str) -> None:
    with answering(prometheus(value)) as server:
        found = judged(server)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no finite numbers" in found.reason


@pytest.mark.parametrize("ahead_s", [90.0, -90.0, 3600.0])
def test_a_clock_that_is_off_or_of_another_zone(ahead_s: float) -> None:
    with answering(prometheus(ahead_s=ahead_s)) as server:
        found = judged(server)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "Prometheus' clock is" in found.reason


@pytest.mark.parametrize(
    "answer",
    [
        lambda *_: (200, "<html><form>Sign in</form></html>", {"Content-Type": "text/html"}),
        lambda *_: (503, "<h1>503 Service Unavailable</h1>", {}),
        lambda *_: (302, "", {"Location": "https://login.example.com/"}),
        lambda *_: (200, json.dumps({"status": "error", "error": "query timed out"}), {}),
        lambda *_: (200, "[]", {}),
        prometheus(warnings=["no store matched: store-2 is down"]),
        lambda *_: (
            200,
            json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}}),
            {},
        ),
    ],
    ids=["a login page", "a proxy", "a redirect", "an error", "a list", "a partial answer", "another type"],
)
def test_what_is_no_answer_is_said(answer: Callable[..., Answer]) -> None:
    with answering(answer) as server, pytest.raises(CannotTell) as told:
        judged(server)
    assert f"Prometheus at {server.url}" in str(told.value)
