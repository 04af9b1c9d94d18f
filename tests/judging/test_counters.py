"""Counts from raw samples: restarts, series born in the window, targets that went away, values that are no counts."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.judging.counters import Counted, Scraped, blocks_for, counted

NAME = "http_requests_total"
APP = {"__name__": NAME, "job": "app", "instance": "a:1", "code": "200"}
FAILED = {**APP, "code": "500"}
TARGET = ("app", "a:1")
NOTHING = Scraped({}, {})
WINDOW = (1000.0, 1600.0)


def every(step: float, values: list[float], start: float = 1000.0) -> list[tuple[float, float]]:
    return [(start + n * step, value) for n, value in enumerate(values)]


def up(step: float = 15.0, start: float = 1000.0, end: float = 1600.0, value: float = 1.0) -> Scraped:
    number = int((end - start) / step) + 1
    return Scraped({TARGET: every(step, [value] * number, start)}, {})


def of(*found: tuple[dict[str, str], list[tuple[float, float]]], scraped: Scraped = NOTHING) -> Counted:
    return counted(NAME, found, scraped, WINDOW, parts=10)


def test_rises_are_added_up_without_extrapolation() -> None:
    found = of((APP, every(15, [100, 100, 107, 107])))
    assert found.count == 7
    assert (found.resets, found.appeared, found.interval_s) == (0, 0, 15)


def test_after_a_restart_the_new_value_counts() -> None:
    found = of((APP, every(15, [100, 110, 3, 5])))
    assert (found.count, found.resets) == (10 + 3 + 2, 1)
    assert found.lost == ()


def test_restart_that_no_scrape_was_near_is_lost() -> None:
    samples = every(15, [100, 110]) + every(15, [3, 5], 1200)
    assert of((APP, samples)).lost == ((1015.0, 1200.0),)


def test_first_errors_of_a_new_series_count_in_full_where_the_target_was_scraped_before() -> None:
    """`increase()` gives 0 for them."""
    born = every(15, [7, 7, 7], 1300)
    found = of((FAILED, born), scraped=up())
    assert (found.count, found.appeared, found.new) == (7, 0, ())


def test_first_errors_count_where_the_process_started_in_the_window() -> None:
    found = of((FAILED, every(15, [7, 7], 1300)), scraped=Scraped(up(start=1300).up, {TARGET: 1250.0}))
    assert (found.count, found.appeared) == (7, 0)


@pytest.mark.parametrize(
    "scraped", [NOTHING, up(start=1300), up(start=1000, end=1290, value=0.0), Scraped({}, {TARGET: 500.0})]
)
def test_what_a_target_counted_before_it_was_seen_is_of_unknown_age(scraped: Scraped) -> None:
    found = of((FAILED, every(15, [7, 8], 1300)), scraped=scraped)
    assert (found.count, found.appeared) == (1, 7)
    assert found.new == ('{code="500", instance="a:1", job="app"}',)


def test_new_series_at_zero_leaves_nothing_unknown() -> None:
    assert of((APP, every(15, [0, 4], 1300))).new == ()


def test_target_whose_scrapes_fail_is_silent_and_one_that_left_is_gone() -> None:
    other = {**APP, "instance": "b:1"}
    goes_on = (other, every(15, [1.0] * 41))
    ended = (APP, every(15, [1, 2, 3]))
    failing = Scraped({TARGET: [*every(15, [1.0] * 3), *every(15, [0.0] * 38, 1045)]}, {})
    assert of(goes_on, ended, scraped=failing).silent == ('{code="200", instance="a:1", job="app"}',)
    left = Scraped({TARGET: every(15, [1.0] * 3)}, {})
    assert of(goes_on, ended, scraped=left).gone == ('{code="200", instance="a:1", job="app"}',)
    # After a restart the series of a code is not there until its first answer.
    assert (of(goes_on, ended, scraped=up()).silent, of(goes_on, ended, scraped=up()).gone) == ((), ())


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_values_that_are_no_counts_are_named(value: float) -> None:
    found = of((APP, every(15, [1, value, 3])))
    assert found.unread == (f'{{code="200", instance="a:1", job="app"}} has the value {value:g}',)
    assert found.count == 0


def test_no_series_is_no_zero() -> None:
    found = of()
    assert (found.series, found.stale, found.covered_s) == (0, True, 0)


def test_old_samples_are_stale() -> None:
    assert not of((APP, every(15, [1.0] * 41))).stale
    assert of((APP, every(15, [1.0] * 30))).stale


def test_gaps_are_seen() -> None:
    samples = every(15, [1.0] * 5) + every(15, [1.0] * 20, 1300)
    assert of((APP, samples)).gaps == ((1060.0, 1300.0),)


def test_labels_have_their_values() -> None:
    found = of((APP, every(15, [1, 2])), (FAILED, every(15, [1, 2])))
    assert found.labels["code"] == ("200", "500")


@given(st.lists(st.integers(0, 50), min_size=2, max_size=40))
def test_without_a_restart_the_count_is_last_minus_first(rises: list[int]) -> None:
    values = [float(value) for value in itertools.accumulate(rises)]
    found = of((APP, every(15, values)))
    assert found.count == sum(found.blocks) == values[-1] - values[0]


def test_parts_have_two_scrapes() -> None:
    assert (blocks_for(3600, 15), blocks_for(60, 15), blocks_for(300, 15)) == (60, 5, 10)
