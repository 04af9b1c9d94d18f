"""What k6 measured, in the form that its documentation describes: k6 itself was not run here."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_deploygate.checks.load.judge import load as judge_load
from pytest_deploygate.checks.load.probe.k6 import k6
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.model import CannotTell, Verdict

BEGAN = datetime(2026, 11, 30, 1, 2, 3, tzinfo=UTC)
METRIC = {"type": "Metric", "data": {"name": "http_reqs", "type": "counter"}, "metric": "http_reqs"}
LOAD = Load.model_validate(
    {
        "target": {"host": "app.example.com"},
        "endpoints": [{"path": "/a"}, {"path": "/b?x=1", "name": "the other"}],
        "peak_per_second": 100,
        "duration": "20s",
    }
)


def point(metric: str, at: datetime, value: float, **tags: str) -> dict[str, object]:
    when = at.isoformat(timespec="microseconds").replace("+00:00", "") + "123Z"  # Go writes nanoseconds
    return {"type": "Point", "data": {"time": when, "value": value, "tags": tags or None}, "metric": metric}


def request(
    at_s: float, took_ms: float, blocked_ms: float = 0.0, status: int = 200, url: str = "/a"
) -> list[dict]:
    """A request that was begun at a time, with all of k6's samples of it."""
    at = BEGAN + timedelta(seconds=at_s, milliseconds=took_ms + blocked_ms)
    good = "true" if status == 200 else "false"
    tags = {"method": "GET", "url": f"https://app.example.com{url}", "name": url, "status": str(status)}
    tags |= {"expected_response": good, "scenario": "default"} | ({} if status else {"error_code": "1212"})
    values = {
        "http_reqs": 1.0, "http_req_duration": took_ms, "http_req_blocked": blocked_ms,
        "http_req_connecting": blocked_ms / 2, "http_req_tls_handshaking": blocked_ms / 4,
        "http_req_failed": float(status != 200),
    }  # fmt: skip
    return [point(metric, at, value, **tags) for metric, value in values.items()]


def written(tmp_path: Path, lines: list[dict]) -> Path:
    file = tmp_path / "result.json"
    file.write_text("".join(json.dumps(line) + "\n" for line in [METRIC, *lines]))
    return file


def by_the_clock(took_ms: float = 20.0, skip: range = range(0), **more) -> list[dict]:
    """100 requests a second for 20 s, to both endpoints in turn."""
    return [
        line
        for n in range(2000)
        if n not in skip
        for line in request(n / 100, took_ms, url=("/a", "/b?x=1")[n % 2], **more)
    ]


def verdicts(run) -> set[Verdict]:
    return {
        judge_load.judge_latency(run.only(one.endpoint), one).verdict
        for one in judge_load.latency_criteria(run, LOAD)
    }


def test_requests_by_the_clock_pass_and_slow_ones_fail(tmp_path):
    run = k6(written(tmp_path, by_the_clock()), LOAD)
    assert (run.whole.requests, run.whole.failed, run.client.kept) == (2000, 0, 1.0)
    assert [found.name for found in run.endpoints] == ["GET /a", "the other"]
    assert run.whole.p50_s == pytest.approx(0.020, rel=0.01)
    assert verdicts(run) == {Verdict.PASS}
    criterion = next(iter(judge_load.latency_criteria(run, LOAD)))
    notes = judge_load.judge_latency(run.only(criterion.endpoint), criterion).notes
    assert any(note.startswith("k6 measured this; how late it was itself is unknown") for note in notes)
    assert "k6 recorded no text of the answers: only their status was looked at" in notes
    slow = k6(written(tmp_path, by_the_clock(900.0)), LOAD)
    assert verdicts(slow) == {Verdict.FAIL}


def test_the_wait_for_a_connection_counts_once(tmp_path):
    """`http_req_blocked` has connecting and TLS within."""
    run = k6(written(tmp_path, by_the_clock(20.0, blocked_ms=400.0)), LOAD)
    assert run.whole.p50_s == pytest.approx(0.420, rel=0.01)
    assert verdicts(run) == {Verdict.FAIL, Verdict.PASS}  # p50 is over 200 ms, p99 under 500 ms


def test_a_closed_loop_that_a_stall_held_up_is_no_pass(tmp_path):
    """For 5 s nothing was sent: k6 waited for an answer. All that was sent was quick."""
    run = k6(written(tmp_path, by_the_clock(skip=range(500, 1000))), LOAD)
    assert run.client.kept < 0.8
    assert verdicts(run) == {Verdict.INCONCLUSIVE}


def test_dropped_iterations_are_requests_that_were_not_begun(tmp_path):
    lines = by_the_clock(skip=range(0, 2000, 10))
    lines += [point("dropped_iterations", BEGAN + timedelta(seconds=n), 10.0) for n in range(20)]
    run = k6(written(tmp_path, lines), LOAD)
    assert run.client.problem == "k6 dropped 200 iterations"
    assert verdicts(run) == {Verdict.INCONCLUSIVE}


@pytest.mark.parametrize(("status", "failure"), [(500, "status 500"), (0, "k6's error 1212")])
def test_failures_are_over_every_limit(tmp_path, status, failure):
    run = k6(written(tmp_path, by_the_clock(status=status)), LOAD)
    assert run.whole.failures == {failure: 2000}
    assert verdicts(run) == {Verdict.FAIL}


@pytest.mark.parametrize(("status", "failure"), [("500", "status 500"), (None, "no status")])
def test_a_script_that_calls_every_status_a_success_hides_no_failure(tmp_path, status, failure):
    """With `responseCallback: null` k6 says nothing of whether a status was expected."""
    lines = [line for line in by_the_clock() if line["metric"] != "http_req_failed"]
    for line in lines:
        del line["data"]["tags"]["expected_response"], line["data"]["tags"]["status"]
        line["data"]["tags"] |= {"status": status} if status else {}
    run = k6(written(tmp_path, lines), LOAD)
    assert run.whole.failures == {failure: 2000}
    assert verdicts(run) == {Verdict.FAIL}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no request"),
        (json.dumps(METRIC) + "\n", "has no request"),
        ("not JSON\n", "is not what k6 writes"),
        ('{"metrics": {}}\n', "is not what k6 writes"),
        (
            '{"type": "Point", "metric": "http_req_duration", "data": {"time": "x", "value": 1}}\n',
            "no sample of k6",
        ),
        ("[]\n", "is not what k6 writes"),
        ("\x1f\x8b\n", "is not what k6 writes"),
        (json.dumps(METRIC), "cut off"),
        (
            "".join(json.dumps(line) + "\n" for line in request(0, 1, url="/c")),
            "GET /c, which is no endpoint",
        ),
        (
            "".join(json.dumps(line) + "\n" for line in request(0, 1)).replace(
                "app.example.com", "other.example.com"
            ),
            "`load.target` is https://app.example.com",
        ),
    ],
)
def test_what_is_not_k6s_is_said(tmp_path, text, words):
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(CannotTell, match=words):
        k6(file, LOAD)
    with pytest.raises(CannotTell, match="cannot be read"):
        k6(tmp_path / "nowhere.json", LOAD)
