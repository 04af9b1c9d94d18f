"""Rate and burst are between the bounds that are found, whatever the limit and however long answers take."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pytest_deploygate.checks.ddos.facts import Attempt, Trial
from pytest_deploygate.checks.ddos.judge import estimate
from pytest_deploygate.checks.ddos.probe.trial import _first
from pytest_deploygate.checks.ddos.section import Limit

#: Tells whether a limit lets a request through that reaches it at a time.
Lets = Callable[[float], bool]


def limit(rate: str = "20/s", burst: int = 20, **more: object) -> Limit:
    return Limit.model_validate(
        {"name": "search", "url": "http://192.0.2.1/search", "rate": rate, "burst": burst, **more}
    )


def bucket(rate: float, capacity: float) -> Lets:
    """A bucket of tokens, as nginx's limit_req with `nodelay`."""
    state = {"at": 0.0, "tokens": capacity}

    def lets(at: float) -> bool:
        state["tokens"] = min(capacity, state["tokens"] + (at - state["at"]) * rate)
        state["at"] = at
        if state["tokens"] >= 1:
            state["tokens"] -= 1
            return True
        return False

    return lets


def windows(number: int, width_s: float, begin_s: float) -> Lets:
    """So many in each window of a clock."""
    seen: dict[int, int] = {}

    def lets(at: float) -> bool:
        window = int((at + begin_s) / width_s)
        seen[window] = seen.get(window, 0) + 1
        return seen[window] <= number

    return lets


def sent_to(lets: Lets, declared: Limit, latency_s: float, seed: int = 0) -> Trial:
    """Return what the plan of a burst meets: each request reaches the limit at some time before its answer."""
    draw = random.Random(seed)
    arriving = []
    for number, planned in enumerate(_first(declared)):
        sent = planned.at_s + (number % 24) * 0.001
        took = latency_s * draw.uniform(0.5, 1.5)
        arriving.append((sent + took * draw.random(), sent, sent + took, planned.phase))
    attempts = []
    for at, sent, answered, phase in sorted(arriving):
        served = lets(at)
        attempts.append(Attempt(phase, sent, answered, 200 if served else 429, served))
    return Trial(
        "search", "192.0.2.1", "192.0.2.2", "192.0.2.3", True, tuple(sorted(attempts, key=lambda a: a.sent_s))
    )


@pytest.mark.parametrize("rate", [0.5, 2.0, 20.0, 100.0])
@pytest.mark.parametrize("capacity", [1, 5, 21, 200])
@pytest.mark.parametrize("latency_s", [0.001, 0.02, 0.2])
def test_a_bucket_is_found(rate, capacity, latency_s):
    declared = limit(f"{rate}/s", capacity)
    for seed in range(20):
        random.seed(seed)  # the plan has times of its own
        found = estimate.found(sent_to(bucket(rate, capacity), declared, latency_s, seed), declared)
        assert found is not None
        assert found.rate.low - 1e-6 <= rate <= found.rate.high + 1e-6, (seed, found)
        assert found.burst.low - 1e-6 <= capacity <= found.burst.high + 1e-6, (seed, found)


def test_bounds_are_close_when_answers_are_quick():
    declared = limit()
    found = estimate.found(sent_to(bucket(20, 21), declared, 0.002), declared)
    assert found is not None
    assert found.rate.high - found.rate.low < 2.5
    assert found.burst.high - found.burst.low < 2.5


def test_a_limit_between_the_declared_and_the_offered_rate_is_found():
    declared = limit("20/s", 20)
    found = estimate.found(sent_to(bucket(33, 21), declared, 0.005), declared)
    assert found is not None
    assert found.rate.low <= 33 <= found.rate.high
    assert found.rate.low > 25


def test_a_rate_above_what_is_offered_has_no_upper_bound():
    declared = limit("20/s", 20)
    found = estimate.found(sent_to(bucket(80, 21), declared, 0.005), declared)
    assert found is not None
    assert found.rate.high == float("inf")
    assert str(found.rate).endswith("or more")
    assert 30 < found.rate.low <= 80


@pytest.mark.parametrize("begin_s", [0.0, 0.3, 0.7, 0.95])
def test_windows_of_a_second_are_not_taken_for_too_much(begin_s):
    declared = limit("20/s", 20)
    found = estimate.found(sent_to(windows(20, 1.0, begin_s), declared, 0.005), declared)
    assert found is not None
    assert not found.window
    most = 20 * 1.25
    assert found.rate.low <= most
    assert found.burst.low <= most + 1


def test_a_window_that_is_longer_than_the_burst():
    declared = limit("20/s", 20)
    found = estimate.found(sent_to(windows(20, 60.0, 1.0), declared, 0.005), declared)
    assert found is not None
    assert found.window
    assert found.through == 20
    assert found.burst.low - 1 <= 20 <= found.burst.high


def test_nothing_refused_is_no_limit():
    declared = limit()
    assert estimate.found(sent_to(lambda _: True, declared, 0.002), declared) is None
