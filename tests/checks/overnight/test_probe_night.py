"""The night is read from a real Prometheus: its samples, gaps that a range query would hide, restarts, and no series."""

from __future__ import annotations

import time
from collections.abc import Iterator

import prometheus_server
import pytest

from pytest_deploygate.checks.overnight import judge, probe
from pytest_deploygate.checks.overnight.section import Overnight
from pytest_deploygate.lab.services.monitoring_history import samples
from pytest_deploygate.model import Judgement, Verdict

HOURS = 6
LABELS = {"job": "app", "instance": "a:1"}


def lines(now: float) -> Iterator[str]:
    """Return a gauge, one with a gap of four and one of 20 minutes, one with NaN, and a counter that was restarted."""
    times = [now - 60.0 * n for n in range(HOURS * 60, 0, -1)]
    yield from samples("even", LABELS, [(at, 50.0) for at in times])
    for name, minutes in (("short", 4), ("long", 20)):
        some = [at for at in times if not now - 7200 < at < now - 7200 + 60 * minutes]
        yield from samples(name, LABELS, [(at, 50.0) for at in some])
    yield from samples("odd", LABELS, [(at, float("nan") if n == 30 else 50.0) for n, at in enumerate(times)])
    yield from samples("ended", LABELS, [(at, 50.0) for at in times if at < now - 3600])
    yield from samples("requests_total", LABELS, [(at, 600.0 * (n % 200)) for n, at in enumerate(times)])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[prometheus_server.Server]:
    with prometheus_server.running(tmp_path_factory.mktemp("prometheus"), [*lines(time.time())]) as found:
        yield found


def judged(server: prometheus_server.Server, **series: object) -> Judgement:
    overnight = Overnight.model_validate(
        {"last": f"{HOURS}h", "series": [{"name": "it", "at_least": 20, "at_most": 90} | series]}
    )
    return judge.judge(probe.night(server.settings, overnight), overnight)


@pytest.mark.parametrize(
    ("selector", "verdict", "says"),
    [
        ("even", Verdict.PASS, "1 series was inside of its band for 6 h"),
        ("short", Verdict.PASS, "1 series was inside of its band for 6 h"),
        ("long", Verdict.INCONCLUSIVE, "what happened then is unknown"),
        ("odd", Verdict.INCONCLUSIVE, "1 value is no number"),
        ("ended", Verdict.INCONCLUSIVE, "no samples from"),
        ("absent", Verdict.INCONCLUSIVE, "Prometheus has 0 series of absent in the night"),
    ],
)
def test_gauges(server: prometheus_server.Server, selector: str, verdict: Verdict, says: str) -> None:
    found = judged(server, selector=selector)
    assert found.verdict is verdict, found.reason
    assert says in found.reason


def test_counter_is_a_rate_and_its_restart_no_spike(server: prometheus_server.Server) -> None:
    found = judged(server, selector="requests_total", **{"as": "rate"}, at_least=5, at_most=11)
    assert found.verdict is Verdict.PASS, found.reason
    slow = judged(server, selector="requests_total", **{"as": "rate"}, at_least=1, at_most=8)
    assert slow.verdict is Verdict.FAIL
    absent = judged(server, selector="absent_total", **{"as": "rate"})
    assert "Prometheus has no series absent_total in the night" in absent.reason
