from __future__ import annotations

import random

import pytest
from scipy.stats import mannwhitneyu

from pytest_deploygate.judging.shift import ALPHA, quickest, shift


def _times(number: int, more: float, seed: int) -> list[float]:
    """Return times with a long tail: most are quick, some wait."""
    drawn = random.Random(seed)
    return [0.01 + drawn.expovariate(50) + more for _ in range(number)]


def test_the_same_samples_have_no_shift() -> None:
    found = shift(_times(24, 0, 1), _times(24, 0, 2))
    assert found is not None
    assert found.least == 0
    assert found.most < 0.05


@pytest.mark.parametrize("more", [0.1, -0.1])
def test_a_shift_is_found_in_either_direction(more: float) -> None:
    found = shift(_times(24, 0.2, 1), _times(24, 0.2 + more, 2))
    assert found is not None
    assert found.low < more < found.high
    assert abs(found.middle - more) < 0.02
    assert found.least > 0.05


def test_a_few_slow_answers_do_not_move_it() -> None:
    first, second = _times(24, 0, 1), _times(24, 0, 2)
    second[:3] = [5.0, 6.0, 7.0]
    found = shift(first, second)
    assert found is not None
    assert found.most < 0.05


def test_the_quickest_of_each_three_tell_more_when_all_wait() -> None:
    first, second = _times(48, 0, 1), _times(48, 0, 2)
    every, quick = shift(first, second), shift(quickest(first), quickest(second))
    assert every is not None
    assert quick is not None
    assert quick.width < every.width
    assert quick.low < 0 < quick.high
    assert quickest([3.0, 1.0, 2.0, 9.0]) == [1.0]


def test_small_samples_have_no_bounds() -> None:
    assert shift([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) is None
    assert shift([], [1.0]) is None


def test_bounds_are_the_shifts_that_the_test_of_mann_and_whitney_does_not_refuse() -> None:
    first, second = _times(24, 0, 3), _times(24, 0.02, 4)
    found = shift(first, second)
    assert found is not None

    def refused(by: float) -> bool:
        moved = [each - by for each in second]
        return bool(mannwhitneyu(first, moved, method="asymptotic", use_continuity=False).pvalue < ALPHA)

    inside = (found.high - found.low) * 0.02
    assert not refused(found.low + inside)
    assert not refused(found.high - inside)
    assert refused(found.low - 10 * inside)
    assert refused(found.high + 10 * inside)


def test_bounds_hold_as_often_as_they_say() -> None:
    missed = 0
    for seed in range(400):
        found = shift(_times(12, 0, 2 * seed), _times(12, 0.01, 2 * seed + 1), 0.1)
        assert found is not None
        missed += not found.low <= 0.01 <= found.high
    assert missed / 400 < 0.15  # at 10 %
