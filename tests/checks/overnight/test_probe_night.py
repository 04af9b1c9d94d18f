"""The night is read from a real Prometheus: its samples, gaps that a range query would hide, restarts, and no series."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import prometheus_server
import pytest

from pytest_deploygate.checks.overnight import judge, probe
from pytest_deploygate.checks.overnight.section import Overnight
from pytest_deploygate.lab.services.monitoring_history import samples
from pytest_deploygate.model import Judgement, Verdict

HOURS = 6
#: As many hours are there, for windows that are read at steps.
LONG_HOURS = 8
LABELS = {"job": "app", "instance": "a:1"}
OTHER = {"job": "app", "instance": "b:1"}


def lines(now: float) -> Iterator[str]:
    """Return a gauge, one with a gap of four and one of 20 minutes, one with NaN, and a counter that was restarted."""
    times = [now - 60.0 * n for n in range(LONG_HOURS * 60, 0, -1)]
    yield from samples("even", LABELS, [(at, 50.0) for at in times])
    for name, minutes in (("short", 4), ("long", 20)):
        some = [at for at in times if not now - 7200 < at < now - 7200 + 60 * minutes]
        yield from samples(name, LABELS, [(at, 50.0) for at in some])
    yield from samples(
        "odd", LABELS, [(at, float("nan") if n == 150 else 50.0) for n, at in enumerate(times)]
    )
    yield from samples("ended", LABELS, [(at, 50.0) for at in times if at < now - 3600])
    yield from samples("requests_total", LABELS, [(at, 600.0 * (n % 200)) for n, at in enumerate(times)])
    counted = [(at, 600.0 * n) for n, at in enumerate(times)]
    for name, minutes in (("with_a_short_hole_total", 4), ("with_a_hole_total", 20)):
        yield from samples(
            name, LABELS, [each for each in counted if not now - 7200 < each[0] < now - 7200 + 60 * minutes]
        )
    yield from samples("of_two_total", LABELS, counted)
    yield from samples(
        "of_two_total", OTHER, [each for each in counted if not now - 7200 < each[0] < now - 6000]
    )
    for name, value in (("odd_nan_total", "nan"), ("odd_inf_total", "inf")):
        yield from samples(name, LABELS, [(at, float(value)) for at in times])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[prometheus_server.Server]:
    with prometheus_server.running(tmp_path_factory.mktemp("prometheus"), [*lines(time.time())]) as found:
        yield found


def judged(server: prometheus_server.Server, hours: int = HOURS, **series: object) -> Judgement:
    overnight = Overnight.model_validate(
        {"last": f"{hours}h", "series": [{"name": "it", "at_least": 20, "at_most": 90} | series]}
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


@pytest.mark.parametrize("name", ["with_a_hole_total", "of_two_total"])
@pytest.mark.parametrize("hours", [6, 8])
def test_what_was_counted_in_a_gap_is_no_spike(
    server: prometheus_server.Server, name: str, hours: int
) -> None:
    """Windows of more than 6 h are read at steps, at which an old value would stand for five minutes."""
    found = judged(server, hours, selector=name, **{"as": "rate"}, at_least=5, at_most=25)
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert re.search(r"\(2\d(\.\d)? min; at most 5 min\): what happened then is unknown", found.reason)


@pytest.mark.parametrize("hours", [6, 8])
def test_a_short_gap_is_no_spike(server: prometheus_server.Server, hours: int) -> None:
    found = judged(
        server, hours, selector="with_a_short_hole_total", **{"as": "rate"}, at_least=8, at_most=12
    )
    assert found.verdict is Verdict.PASS, found.reason
    if hours == HOURS:
        assert found.notes == ("it: 1 short gap, 4 min together",)


def test_fewer_counters_than_expected(server: prometheus_server.Server) -> None:
    found = judged(server, selector="of_two_total", **{"as": "rate"}, at_least=5, expected=3)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "Prometheus has 2 series of of_two_total in the night, 3 expected" in found.reason


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_counters_without_a_number_are_named(server: prometheus_server.Server, value: str) -> None:
    found = judged(server, selector=f"odd_{'nan' if value == 'NaN' else 'inf'}_total", **{"as": "rate"})
    assert found.verdict is Verdict.INCONCLUSIVE
    assert f"has the value {value.lower().lstrip('+')}" in found.reason
