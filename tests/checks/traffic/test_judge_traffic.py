"""Rates of both sides against floor and ceiling, by the bounds of the counts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from pytest_deploygate.checks.traffic import judge
from pytest_deploygate.checks.traffic.facts import Sides
from pytest_deploygate.checks.traffic.section import Traffic
from pytest_deploygate.judging.counters import Counted, Scraped, counted
from pytest_deploygate.judging.proportions import rate_bounds
from pytest_deploygate.model import Judgement, Verdict

WINDOW_S = 600.0
CRITERION = Traffic.model_validate(
    {
        "new": {"requests": "new_total", "at_least_per_second": 1},
        "old": {"requests": "old_total", "at_most_per_second": 0.05},
        "window": "10m",
    }
)


def side(name: str, rises: Sequence[float], scraped: Scraped | None = None) -> Counted:
    samples = [(15.0 * n, float(value)) for n, value in enumerate(itertools.accumulate([0, *rises]))]
    found = [({"job": name, "instance": "a:1"}, samples)] if rises else []
    return counted(f"{name}_total", found, scraped or Scraped({}, {}), (0.0, WINDOW_S), parts=20)


QUIET = [0.0] * 40
BUSY = [30.0] * 40


def judged(new: Sequence[float], old: Sequence[float]) -> Judgement:
    return judge.judge(Sides(side("new", new), side("old", old)), CRITERION)


def test_bounds_of_a_count_are_those_of_garwood() -> None:
    assert rate_bounds(0) == pytest.approx((0.0, 2.9957), abs=1e-3)
    assert rate_bounds(10) == pytest.approx((5.4254, 16.9622), abs=1e-3)
    assert rate_bounds(1000) == pytest.approx((948.6, 1053.6), abs=0.5)


def test_over_the_floor_and_under_the_ceiling_passes() -> None:
    found = judged(BUSY, QUIET)
    assert found.verdict is Verdict.PASS
    assert found.reason == (
        "new side 1200 in 10 min, 2/s (at least 1/s), old side 0 in 10 min, 0/s (at most 0.05/s)"
    )
    assert [figure.least for figure in found.figures] == [1, None]  # type: ignore[union-attr]
    assert [figure.limit for figure in found.figures] == [None, 0.05]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("new", "old", "verdict", "says"),
    [
        ([5.0] * 40, QUIET, Verdict.FAIL, "new side: 200 in 10 min, 0.333/s; at least 1/s must arrive"),
        ([15.5] * 40, QUIET, Verdict.INCONCLUSIVE, "too close to the floor of 1/s to decide"),
        (
            [60.0] * 31 + [0.0] * 9,
            QUIET,
            Verdict.FAIL,
            "new side: 0 in 2 min, 0/s (the last part of the window)",
        ),
        (BUSY, [2.0] * 40, Verdict.FAIL, "old side: 80 in 10 min, 0.133/s; at most 0.05/s may still arrive"),
        (BUSY, [0.75] * 40, Verdict.INCONCLUSIVE, "too close to the ceiling of 0.05/s to decide"),
        (BUSY, [], Verdict.INCONCLUSIVE, "old side: Prometheus has no series old_total in the last 10 min"),
        ([], QUIET, Verdict.INCONCLUSIVE, "which does not mean that nothing was counted"),
        ([30.0] * 20, QUIET, Verdict.INCONCLUSIVE, "the newest sample of new_total is 5 min old"),
        (BUSY, [0.0], Verdict.INCONCLUSIVE, "the newest sample of old_total is"),
    ],
)
def test_what_is_wrong_or_unknown_is_said(
    new: Sequence[float], old: Sequence[float], verdict: Verdict, says: str
) -> None:
    found = judged(new, old)
    assert found.verdict is verdict, found.reason
    assert says in found.reason


def test_silent_target_of_the_old_side_is_unknown() -> None:
    up = Scraped({("old", "b:1"): [(15.0 * n, float(n < 10)) for n in range(41)]}, {})
    good = [(15.0 * n, 7.0) for n in range(41)]
    found = [({"job": "old", "instance": "a:1"}, good), ({"job": "old", "instance": "b:1"}, good[:10])]
    old = counted("old_total", found, up, (0.0, WINDOW_S), parts=20)
    said = judge.judge(Sides(side("new", BUSY), old), CRITERION)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "as their scrapes fail" in said.reason


def test_requests_before_the_first_scrape_of_a_new_server_may_be_old_or_new() -> None:
    late = [(15.0 * n, 500.0) for n in range(20, 41)]
    old = counted("old_total", [({"job": "old"}, late)], Scraped({}, {}), (0.0, WINDOW_S), parts=20)
    said = judge.judge(Sides(side("new", BUSY), old), CRITERION)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert any("500 counted at an unknown time" in note for note in said.notes)
