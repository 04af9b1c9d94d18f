"""Whatever stands before a real Prometheus and spoils its answers: no check that asks it is green, and each says why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import prometheus_server
import pytest
import slow_server
import spoiled_prometheus as spoils
from slow_server import Answer
from spoiled_prometheus import Spoiled

from pytest_deploygate.checks.alerts import judge as judge_alerts
from pytest_deploygate.checks.alerts import probe as alerts
from pytest_deploygate.checks.alerts.section import Alerts
from pytest_deploygate.checks.errors import judge as judge_errors
from pytest_deploygate.checks.errors import probe as errors
from pytest_deploygate.checks.errors.section import Errors
from pytest_deploygate.checks.monitoring import judge as judge_monitoring
from pytest_deploygate.checks.monitoring import probe as monitoring
from pytest_deploygate.checks.monitoring.section import DatabaseExporters, Expected
from pytest_deploygate.checks.overnight import judge as judge_overnight
from pytest_deploygate.checks.overnight import probe as overnight
from pytest_deploygate.checks.overnight.section import Overnight
from pytest_deploygate.checks.performance import judge as judge_performance
from pytest_deploygate.checks.performance import probe as performance
from pytest_deploygate.checks.performance.section import Performance
from pytest_deploygate.checks.resources import judge as judge_resources
from pytest_deploygate.checks.resources import probe as resources
from pytest_deploygate.checks.resources.section import Resources
from pytest_deploygate.checks.traffic import judge as judge_traffic
from pytest_deploygate.checks.traffic import probe as traffic
from pytest_deploygate.checks.traffic.section import Traffic
from pytest_deploygate.clients import prometheus as client
from pytest_deploygate.clients import reach
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lab.services.monitoring_history import samples
from pytest_deploygate.model import CannotTell, Judgement, Verdict

LONG_S, APART_S = 900, 5
HISTOGRAM = "http_request_duration_seconds"
RULE = {"alert": "High", "expr": "queue > 50", "labels": {"severity": "critical"}}


def metrics(since_s: float) -> dict[str, float]:
    """What the application says so long after its start: ten requests a second, all of them fast."""
    requests = round(10 * since_s)
    return {
        'requests_total{code="200"}': requests,
        'old_total{code="200"}': 0,
        f'{HISTOGRAM}_bucket{{le="0.2"}}': requests,
        f'{HISTOGRAM}_bucket{{le="0.5"}}': requests,
        f'{HISTOGRAM}_bucket{{le="+Inf"}}': requests,
        "queue": 3,
        "disk_used": 40,
        "disk_size": 100,
        "pg_up": 1,
        "pg_exporter_last_scrape_error": 0,
    }


@dataclass(frozen=True)
class Served:
    spoiled: Spoiled
    target: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    began = time.time() - LONG_S

    def answer(_number: int, _at: float) -> Answer:
        said = metrics(time.time() - began)
        return Answer(body="".join(f"{name} {value:g}\n" for name, value in said.items()))

    with slow_server.serving(answer) as exporter:
        target = f"127.0.0.1:{exporter.port}"
        here = {"job": "test", "instance": target}
        times = [began + n for n in range(0, LONG_S, APART_S)]
        lines = samples("up", here, [(at, 1.0) for at in times])
        for text in metrics(0):
            name, _, labels = text.partition("{")
            own = dict(pair.split("=") for pair in labels.rstrip("}").split(",") if pair)
            known = {k: v.strip('"') for k, v in own.items()} | here
            lines += samples(name, known, [(at, metrics(at - began)[text]) for at in times])
        folder = tmp_path_factory.mktemp("prometheus")
        with (
            prometheus_server.running(folder, lines, [target], 1.0, [RULE]) as server,
            spoils.spoiling(server.settings.url) as spoiled,
        ):
            until = time.monotonic() + 30
            while not client.vector(server.settings, "timestamp(queue) > time() - 2 and on() timestamp(up)"):
                assert time.monotonic() < until
                time.sleep(0.1)
            yield Served(spoiled, target)


@pytest.fixture(autouse=True)
def afresh(served: Served) -> None:
    reach.begin()
    served.spoiled.how, served.spoiled.before, served.spoiled.spares_time = None, dict, False


def _server(asked: Prometheus, target: str) -> Judgement:
    expected = _expected(target)
    return judge_monitoring.judge_server(monitoring.server(asked, expected), expected)


def _samples(asked: Prometheus, target: str) -> Judgement:
    expected = _expected(target)
    return judge_monitoring.judge_freshness(monitoring.freshness(asked, expected), expected)


def _expected(target: str) -> Expected:
    given = {"targets": [{"job": "test", "instances": [target]}], "alerts": [{"name": "High"}]}
    # Other tests keep this machine busy, and a scrape or an evaluation may be late.
    return Expected.model_validate({**given, "intervals": 60})


def _exporters(asked: Prometheus, target: str) -> Judgement:
    given = {"job": "test", "instances": [target], "metrics": ["queue"], "intervals": 60}
    wanted = DatabaseExporters.model_validate(given)
    return judge_monitoring.judge_exporters(monitoring.exporters(asked, wanted), wanted)


def _alerts(asked: Prometheus, _target: str) -> Judgement:
    wanted = Alerts.model_validate({"night": {"since": "10m"}})
    return judge_alerts.judge_night(alerts.night(wanted, [], asked), wanted.night)


def _traffic(asked: Prometheus, _target: str) -> Judgement:
    sides = {
        "new": {"requests": "requests_total", "at_least_per_second": 1},
        "old": {"requests": "old_total", "at_most_per_second": 1},
    }
    wanted = Traffic.model_validate({**sides, "window": "5m"})
    return judge_traffic.judge(traffic.sides(asked, wanted), wanted)


def _errors(asked: Prometheus, _target: str) -> Judgement:
    counter = {"name": "app", "requests": "requests_total", "errors": 'requests_total{code=~"5.."}'}
    wanted = Errors.model_validate(
        {"counters": [counter], "balancer": "none", "budget": 0.01, "window": "10m"}
    )
    return judge_errors.judge(errors.counts(asked, wanted), wanted)


def _performance(asked: Prometheus, _target: str) -> Judgement:
    client_of_ours = {
        "allow": "x", "target": {"host": "127.0.0.1", "port": 1}, "endpoints": [{"path": "/"}],
    }  # fmt: skip
    wanted = Performance.model_validate(
        {"server": {"metric": HISTOGRAM, "window": "5m"}, "client": client_of_ours}
    )
    return judge_performance.judge_server(performance.histogram(asked, wanted.server), wanted)


def _night(asked: Prometheus, **series: object) -> Judgement:
    wanted = Overnight.model_validate({"last": "10m", "series": [{"name": "it", **series}]})
    return judge_overnight.judge(overnight.night(asked, wanted), wanted)


def _gauge(asked: Prometheus, _target: str) -> Judgement:
    return _night(asked, selector="queue", at_most=10)


def _rate(asked: Prometheus, _target: str) -> Judgement:
    return _night(asked, selector="requests_total", at_least=5, **{"as": "rate"})


def _use(asked: Prometheus, _target: str) -> Judgement:
    wanted, (disk,) = _watched()
    return judge_resources.judge_use(
        resources.course(asked, wanted, disk), judge_resources.of_use(wanted, disk)
    )


def _headroom(asked: Prometheus, _target: str) -> Judgement:
    wanted, (disk,) = _watched()
    return judge_resources.judge_headroom(
        resources.peaks(asked, wanted, disk), judge_resources.of_headroom(wanted, disk)
    )


def _watched():
    watched = [{"name": "disk", "used": "disk_used", "limit": "disk_size"}]
    times = {"every": "5s", "window": "10m", "horizon": "20m", "headroom": {"window": "10m"}}
    found = Resources.model_validate({"watched": watched, "recent": "60s", **times})
    return found, found.watched


CHECKS: list[Callable[[Prometheus, str], Judgement]] = [
    _server, _samples, _exporters, _alerts, _traffic, _errors, _performance, _gauge, _rate, _use, _headroom,
]  # fmt: skip


def judged(check: Callable[[Prometheus, str], Judgement], served: Served) -> tuple[Verdict, str]:
    asked = Prometheus.model_validate({"url": served.spoiled.url, "timeout": "30s"})
    try:
        found = check(asked, served.target)
    except CannotTell as why:
        return Verdict.INCONCLUSIVE, str(why)
    return found.verdict, found.reason


@pytest.mark.parametrize("check", CHECKS)
def test_unspoiled_and_of_another_zone_they_pass(check: Callable, served: Served) -> None:
    assert judged(check, served)[0] is Verdict.PASS, judged(check, served)
    served.spoiled.how = spoils.other_zone
    assert judged(check, served)[0] is Verdict.PASS, judged(check, served)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    ("how", "words"),
    [
        (spoils.partial, "partial answer: store 10.0.0.7:10901 is unavailable"),
        (spoils.partial_of_victoriametrics, "partial answer: isPartial"),
        (spoils.LOGIN, "and no JSON: check the URL, whether it requires a login"),
        (spoils.REDIRECT, "redirects"),
        (spoils.GATEWAY, "with HTTP 503 and no JSON"),
        (spoils.HALF, "and no JSON"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("spares_time", [False, True])
def test_what_is_no_whole_answer(
    check: Callable, how: object, words: str, served: Served, *, spares_time: bool
) -> None:
    served.spoiled.how, served.spoiled.spares_time = how, spares_time  # type: ignore[assignment]
    verdict, reason = judged(check, served)
    assert (verdict, words in reason) == (Verdict.INCONCLUSIVE, True), reason


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_values_that_are_no_numbers(check: Callable, value: str, served: Served) -> None:
    served.spoiled.how = spoils.values(value)
    verdict, reason = judged(check, served)
    assert verdict is Verdict.INCONCLUSIVE, reason
    assert value.lstrip("+").lower() in reason.lower() or "no number" in reason or "no finite" in reason, (
        reason
    )


@pytest.mark.parametrize("check", CHECKS)
def test_answers_without_any_series(check: Callable, served: Served) -> None:
    served.spoiled.how = spoils.nothing
    verdict, reason = judged(check, served)
    assert verdict is Verdict.INCONCLUSIVE, reason


@pytest.mark.parametrize("check", CHECKS)
def test_a_clock_that_is_off_is_named(check: Callable, served: Served) -> None:
    served.spoiled.how, served.spoiled.before = spoils.ahead, spoils.earlier
    verdict, reason = judged(check, served)
    assert (verdict, "clock" in reason) == (Verdict.INCONCLUSIVE, True), reason
