"""The growth of a quantity as an interval: what it covers, and what does not move it."""

from __future__ import annotations

import random

import pytest

from pytest_deploygate.judging.trend import falls, trend

HOUR = 3600.0
TIMES = [60.0 * n for n in range(361)]


def grown(value) -> list[tuple[float, float]]:
    return [(at, value(at)) for at in TIMES]


@pytest.mark.parametrize("related", [0.0, 0.9, 0.985])
def test_the_interval_holds_the_true_growth_also_where_errors_are_related(related: float) -> None:
    chance, missed = random.Random(19), 0
    for _ in range(300):
        error, samples = 0.0, []
        for at in TIMES:
            error = related * error + chance.gauss(0, 2)
            samples.append((at, error + 10 * at / HOUR))
        found = trend(samples)
        assert found is not None
        missed += not found.low <= 10 / HOUR <= found.high
    assert missed <= 0.07 * 300


def test_growth_without_errors_has_an_interval_of_no_width() -> None:
    found = trend(grown(lambda at: 20 * at / HOUR))
    assert found is not None
    assert [found.low, found.slope, found.high] == pytest.approx([20 / HOUR] * 3)
    assert found.span_s == 6 * HOUR


def test_a_step_of_a_backup_is_no_growth() -> None:
    found = trend(grown(lambda at: 305.0 if at > 5.5 * HOUR else 300.0))
    assert found is not None
    assert found.slope == 0
    assert found.low == 0


def test_a_sawtooth_of_twenty_minutes_is_no_growth() -> None:
    found = trend(grown(lambda at: at % 1200 / 1200 * 50))
    assert found is not None
    assert abs(found.slope) < 1 / HOUR
    assert found.low < 0 < found.high < 3 / HOUR


def test_few_samples_tell_nothing() -> None:
    assert trend([(60.0 * n, float(n)) for n in range(7)]) is None


def test_falls_are_counted_from_their_top() -> None:
    assert falls(grown(lambda at: at % 3600), 3000) == 6
    assert falls(grown(lambda at: at), 1) == 0
    assert falls([(0, 9.0), (1, 1.0), (2, 5.0), (3, 1.0)], 4) == 2
    assert falls([(0, 9.0), (1, 7.0), (2, 5.0)], 4) == 1
