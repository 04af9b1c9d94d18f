"""Bad answers in place of Prometheus' own: each is named, and none is taken for a measurement."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_answers import Answers, answering

from pytest_deploygate.checks.monitoring import judge, probe
from pytest_deploygate.checks.monitoring.section import DatabaseExporters, Expected
from pytest_deploygate.clients import prometheus
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell, Verdict

EXPECTED = Expected.model_validate(
    {"targets": [{"job": "node", "instances": ["a:9100"]}], "alerts": [{"name": "Down"}], "retention": "1d"}
)
TARGET = {
    "labels": {"job": "node", "instance": "a:9100"},
    "discoveredLabels": {},
    "scrapeUrl": "http://a:9100/metrics",
    "lastError": "",
    "health": "up",
    "scrapeInterval": "15s",
}


def said(status: int, body: str, **headers: str) -> tuple[int, dict[str, str], str]:
    return status, headers, body


def at(ago_s: float, zone: str = "Z") -> str:
    """A moment as Go writes it, with nanoseconds."""
    offset_s = 0 if zone == "Z" else int(zone[:3]) * 3600
    moment = time.gmtime(time.time() - ago_s + offset_s)
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment) + ".123456789" + zone


def rules() -> dict[str, object]:
    rule = {
        "name": "Down",
        "type": "alerting",
        "health": "ok",
        "state": "inactive",
        "query": "up == 0",
        "labels": {},
    }
    group = {"name": "g", "file": "r.yml", "interval": 15, "evaluationTime": 0.01, "lastEvaluation": at(5)}
    return {"groups": [group | {"rules": [rule]}]}


@pytest.fixture
def there() -> Iterator[Answers]:
    answers = Answers(
        {
            "/-/ready": said(200, "Prometheus Server is Ready.\n"),
            "/api/v1/targets": lambda _: {"activeTargets": [TARGET | {"lastScrape": at(5)}], "droppedTargets": []},
            "/api/v1/rules": lambda _: rules(),
            "/api/v1/status/runtimeinfo": lambda _: {
                "startTime": at(9000), "reloadConfigSuccess": True, "lastConfigTime": at(9000), "storageRetention": "15d",
            },
            "/api/v1/status/tsdb": {"headStats": {"numSeries": 1000}, "seriesCountByMetricName": []},
            "/api/v1/label/__name__/values": ["up", "node_load1"],
        }
    )  # fmt: skip
    counted = [{"metric": {"deploygate": "0"}, "value": [time.time(), "3"]}]
    answers.queries['label_replace(count(up), "deploygate", "0", "", "")'] = counted
    with answering(answers) as serving:
        yield serving


def judged(there: Answers, expected: Expected = EXPECTED):
    server = Prometheus.model_validate({"url": there.url, "timeout": "5s"})
    return judge.judge_server(probe.server(server, expected), expected)


def test_its_usual_answers_pass(there: Answers) -> None:
    found = judged(there)
    assert found.verdict is Verdict.PASS, found.reason


LOGIN = said(200, "<!doctype html><title>Log in</title>", **{"Content-Type": "text/html"})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (LOGIN, "with HTTP 200 and no JSON: check the URL, whether it requires a login"),
        (said(302, "", Location="https://sso.example.com/login"), "redirects"),
        (said(301, "", Location="https://elsewhere/"), "to https://elsewhere/: name the address itself"),
        (said(503, "<html>no server is available to handle this request</html>"), "with HTTP 503 and no JSON"),
        (said(401, "Unauthorized"), "with HTTP 401 and no JSON"),
        (said(200, "[]"), "returned no JSON object"),
        (said(200, '{"status":"success","data":{"resultType":"vec'), "no JSON"),
        (said(503, '{"status":"error","errorType":"timeout","error":"query timed out"}'), "query timed out"),
        (said(200, '{"status":"success","warnings":["store gateway unavailable"],"data":{}}'), "partial answer: store"),
        (said(200, '{"status":"success","isPartial":true,"data":{}}'), "partial answer"),
        (said(200, '{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}'), "not a finite number"),
        (said(200, '{"status":"success","data":{"resultType":"vector","result":[]}}'), "returned a vector for time()"),
    ],
)  # fmt: skip
def test_a_bad_answer_to_the_first_question_ends_the_probe(
    there: Answers, answer: object, words: str
) -> None:
    there.paths["/api/v1/query"] = answer
    with pytest.raises(CannotTell) as caught:
        judged(there)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (path, answer)
        for path in ("targets", "rules", "status/runtimeinfo", "status/tsdb", "label/__name__/values")
        for answer in (LOGIN, said(503, "busy"), said(404, "404 page not found"), {}, [], "words")
        # An empty list of names is an answer: no metric exists.
        if (path, answer) != ("label/__name__/values", [])
    ],
)
def test_a_bad_answer_to_any_other_question_is_unknown(there: Answers, path: str, answer: object) -> None:
    """Never green: what one answer lacks is said, though all others are good."""
    there.paths[f"/api/v1/{path}"] = answer
    found = judged(there)
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert "unknown" in found.reason


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (said(503, "Service Unavailable"), "it is not ready"),
        (LOGIN, "with a page in HTML"),
        (said(302, "", Location="/login"), "answers HTTP 302"),
        (said(404, "404"), "add `ready` to `does_without`"),
    ],
)
def test_whether_it_is_ready(there: Answers, answer: object, words: str) -> None:
    there.paths["/-/ready"] = answer
    found = judged(there)
    assert (found.verdict, words in found.reason) == (Verdict.INCONCLUSIVE, True), found.reason


def test_a_clock_90_s_off_is_named_and_not_green(there: Answers) -> None:
    there.ahead_s = 90.0
    found = judged(there)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "ahead of that of this machine" in found.reason


def test_a_server_in_another_zone_is_the_same(there: Answers) -> None:
    """Times carry their zone; none is read as ours."""
    for zone in ("+05:00", "-11:00"):
        target = TARGET | {"lastScrape": at(5, zone)}
        there.paths["/api/v1/targets"] = {"activeTargets": [target], "droppedTargets": []}
        server = Prometheus.model_validate({"url": there.url})
        seen = probe.server(server, EXPECTED).targets[0].scraped_ago_s
        assert seen is not None
        assert 3 < seen < 15
        assert judged(there).verdict is Verdict.PASS


def test_nothing_scraped_just_after_a_start(there: Answers) -> None:
    there.paths["/api/v1/targets"] = {"activeTargets": [], "droppedTargets": []}
    there.paths["/api/v1/status/runtimeinfo"] = {
        "startTime": at(3), "reloadConfigSuccess": True, "lastConfigTime": at(3), "storageRetention": "15d",
    }  # fmt: skip
    found = judged(there)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "may not have everything yet" in found.reason


def test_nothing_scraped_later(there: Answers) -> None:
    there.paths["/api/v1/targets"] = {"activeTargets": [], "droppedTargets": []}
    found = judged(there)
    assert found.verdict is Verdict.FAIL
    assert "a:9100 of node is absent" in found.reason


def test_a_dropped_target_is_told_from_an_absent_one(there: Answers) -> None:
    dropped = [{"discoveredLabels": {"__address__": f"x{n}:1", "job": "pods"}} for n in range(3000)]
    dropped.append({"discoveredLabels": {"__address__": "a:9100", "job": "node"}})
    there.paths["/api/v1/targets"] = lambda asked: {
        "activeTargets": [],
        "droppedTargets": dropped if asked["state"] == "dropped" else [],
    }
    found = judged(there)
    assert "a:9100 of node was discovered and dropped" in found.reason


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_a_value_that_is_no_number_is_unknown(there: Answers, value: str) -> None:
    series = {"metric": {"__name__": "m"}, "values": [[time.time() - 1, value]]}
    one = {"metric": {"__name__": "m"}, "values": [[time.time() - 1, "1"]]}
    none = {"metric": {"__name__": "m"}, "values": [[time.time() - 1, "0"]]}
    own = '{job="pg", instance="db:9187"}'
    there.queries = {
        'up{job="pg"}': [{"metric": {"instance": "db:9187"}, "value": [time.time(), "1"]}],
        f"pg_up{own}[600000ms]": [one],
        f"failed{own}[600000ms]": [none],
        f"m{own}[600000ms]": [series],
    }
    there.paths["/api/v1/targets"] = {"activeTargets": [TARGET | {"labels": {"instance": "db:9187"}}]}
    section = DatabaseExporters.model_validate(
        {"job": "pg", "instances": ["db:9187"], "failed": "failed", "metrics": ["m"]}
    )
    found = probe.exporters(Prometheus.model_validate({"url": there.url}), section)
    said_of_it = judge.judge_exporters(found, section)
    assert said_of_it.verdict is Verdict.INCONCLUSIVE, said_of_it.reason
    assert "which is no number" in said_of_it.reason


def test_a_query_that_finds_nothing_is_a_failure_of_freshness(there: Answers) -> None:
    """There is a series `up`, and none of this target: no series is no good sign."""
    there.queries["up"] = [{"metric": {"job": "node", "instance": "b:9100"}, "value": [time.time(), "1"]}]
    found = probe.freshness(Prometheus.model_validate({"url": there.url}), EXPECTED)
    said_of_it = judge.judge_freshness(found, EXPECTED)
    assert said_of_it.verdict is Verdict.FAIL
    assert "a:9100 of node was never scraped" in said_of_it.reason


def test_queries_that_find_nothing_at_all_are_unknown(there: Answers) -> None:
    """Targets are scraped, but not even `up` has a series: another tenant, or a store that has nothing."""
    with pytest.raises(CannotTell, match="finds no series of them, not even `up`"):
        probe.freshness(Prometheus.model_validate({"url": there.url}), EXPECTED)


def test_a_server_without_targets_and_reload_passes_where_that_is_declared(there: Answers) -> None:
    """Mimir by its documentation, not tried: it has no /targets, /status/runtimeinfo, /-/ready and /alertmanagers."""
    for path in ("/-/ready", "/api/v1/targets", "/api/v1/status/runtimeinfo"):
        there.paths[path] = said(404, "404 page not found")
    there.queries["up"] = [{"metric": {"job": "node", "instance": "a:9100"}, "value": [time.time(), "1"]}]
    without = ["ready", "targets", "reload", "retention"]
    assert judged(there).verdict is Verdict.INCONCLUSIVE
    found = judged(there, EXPECTED.model_copy(update={"does_without": without}))
    assert found.verdict is Verdict.PASS, found.reason
    assert any("cannot tell, as declared" in note for note in found.notes)


def test_victoriametrics_tells_its_size_by_another_name(there: Answers) -> None:
    """By its documentation, not tried."""
    there.paths["/api/v1/status/tsdb"] = {
        "totalSeries": 7,
        "seriesCountByMetricName": [{"name": "up", "value": 7}],
    }
    assert judged(there).verdict is Verdict.PASS


def test_a_silent_server_is_not_waited_for_long(there: Answers) -> None:
    there.paths["/api/v1/query"] = lambda _: time.sleep(5)
    server = Prometheus.model_validate({"url": there.url, "timeout": "300ms"})
    began = time.monotonic()
    with pytest.raises(CannotTell, match="does not answer"):
        prometheus.clock(server)
    assert time.monotonic() - began < 3


def test_a_secret_in_an_error_is_masked(there: Answers) -> None:
    leak = json.dumps({"status": "error", "error": "dial http://admin:hunter22@db: refused"})
    there.paths["/api/v1/query"] = said(500, leak)
    with pytest.raises(CannotTell) as caught:
        judged(there)
    assert "hunter22" not in str(caught.value)


def test_intervals_of_any_form() -> None:
    from pytest_deploygate.checks.monitoring.probe import told

    assert told.duration_s("1m30s") == 90
    assert told.duration_s("500ms") == 0.5
    assert told.duration_s("soon") is None
    assert told.duration_s(None) is None
    assert told.ago_s("0001-01-01T00:00:00Z", 1.0) is None
    assert told.ago_s("2026-11-29T03:00:00", 1.0) is None
    assert timedelta(seconds=told.ago_s("1970-01-01T01:00:00+01:00", 60.0) or 0) == timedelta(minutes=1)
