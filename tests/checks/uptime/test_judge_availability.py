"""Uptime: bounds that hold for any unobserved time, a budget that is spent once, and no pass without the whole window."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.uptime.facts import Stretch, View, Watched
from pytest_deploygate.checks.uptime.judge import judge, spent
from pytest_deploygate.checks.uptime.probe.stretches import Point, stretches
from pytest_deploygate.checks.uptime.section import Uptime
from pytest_deploygate.model import Verdict

DAY = 86400.0
T0 = 1_800_000_000.0
TARGETS = [{"name": "front", "url": "http://front/healthz"}]


def uptime(**more) -> Uptime:
    return Uptime.model_validate({"targets": TARGETS, "t0": datetime.fromtimestamp(T0, UTC)} | more)


def view(*points: Point, vantage: str = "here", every_s: float = 5.0) -> View:
    failed = sum(not p.up for p in points)
    return View(
        vantage, f"{vantage}.watch", "0" * 64, every_s, None, stretches(points), len(points), failed, 0
    )


def sampled(every_s: float = 5.0, *, down=(), unseen=(), until: float = DAY) -> list[Point]:
    """Samples from t0 on; `down` and `unseen` are (from, to) in seconds after t0."""
    found = []
    for n in range(int(until / every_s) + 1):
        at = n * every_s
        if not any(a <= at < b for a, b in unseen):
            found.append(Point(T0 + at, not any(a <= at < b for a, b in down), every_s))
    return found


def watched(*views: View, now: float = DAY + 60) -> Watched:
    return Watched("front", T0 + now, views)


def verdict(points: list[Point], now: float = DAY + 60, every_s: float = 5.0, **more):
    return judge(watched(view(*points, every_s=every_s), now=now), uptime(**more))


def test_a_day_without_a_failure_passes() -> None:
    found = verdict(sampled())
    assert found.verdict is Verdict.PASS
    assert "no downtime of 86.4 s allowed" in found.reason


def test_a_hundred_seconds_of_outage_fail_and_are_named() -> None:
    found = verdict(sampled(down=[(3600, 3705)]))
    assert found.verdict is Verdict.FAIL
    assert "at least 100 s (at most 110 s), the budget of 86.4 s is spent" in found.reason
    assert found.confirmed


def test_eighty_seconds_pass_only_if_also_their_upper_bound_does() -> None:
    """16 failures are (75, 85) s: pass. 17 are (80, 90) s around the 86.4: inconclusive."""
    assert verdict(sampled(down=[(3600, 3680)])).verdict is Verdict.PASS
    found = verdict(sampled(down=[(3600, 3685)]))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "between 80 and 90 s of 86.4 s" in found.reason


def test_an_hour_without_the_watch_is_unknown_and_never_up() -> None:
    found = verdict(sampled(unseen=[(7200, 10800)]))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "3600 s were not observed" in found.reason


def test_a_spent_budget_fails_before_the_window_ends() -> None:
    found = verdict(sampled(down=[(600, 700)], until=900), now=900)
    assert found.verdict is Verdict.FAIL
    assert "before the window ends" in found.reason


@pytest.mark.parametrize("now", [60.0, 43200.0, DAY - 1])
def test_nothing_passes_before_the_window_is_over(now: float) -> None:
    found = verdict(sampled(until=now), now=now)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "run again after" in found.reason


def test_a_window_that_has_not_begun_is_inconclusive() -> None:
    assert "has not begun" in verdict(sampled(until=0), now=-10).reason


def test_a_watch_that_went_silent_is_said_before_the_end() -> None:
    found = verdict(sampled(until=3600), now=7200)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "check the watch with" in found.reason
    assert "It can no longer pass" in found.reason


def test_sixty_seconds_are_too_long_to_pass() -> None:
    """One failed answer could be 120 s, more than the whole budget; a clear failure still fails."""
    found = verdict(sampled(60.0), every_s=60.0)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "sampled only every 60 s" in found.reason
    assert verdict(sampled(60.0, down=[(0, 300)]), every_s=60.0).verdict is Verdict.FAIL


def test_no_sample_is_inconclusive() -> None:
    assert verdict([]).verdict is Verdict.INCONCLUSIVE


def test_nobody_declared_t0() -> None:
    found = judge(watched(view(*sampled())), uptime(t0=None))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "t0" in found.reason


def test_one_lying_vantage_point_is_outvoted_both_ways() -> None:
    fine, down = sampled(), sampled(down=[(3600, 7200)])
    names = ("a", "b", "c")
    one_says_down = [view(*p, vantage=n) for n, p in zip(names, (fine, fine, down), strict=True)]
    assert judge(watched(*one_says_down), uptime()).verdict is Verdict.PASS
    one_says_up = [view(*p, vantage=n) for n, p in zip(names, (down, down, fine), strict=True)]
    assert judge(watched(*one_says_up), uptime()).verdict is Verdict.FAIL


def test_two_that_disagree_tell_nothing() -> None:
    two = [view(*sampled(), vantage="a"), view(*sampled(down=[(3600, 7200)]), vantage="b")]
    assert judge(watched(*two), uptime()).verdict is Verdict.INCONCLUSIVE


def test_a_vantage_point_that_was_promised_counts_although_it_brought_nothing() -> None:
    found = judge(watched(view(*sampled())), uptime(vantage_points=3))
    assert found.verdict is Verdict.INCONCLUSIVE


def test_another_vantage_point_fills_a_gap_only_if_most_still_agree() -> None:
    a, b, c = sampled(unseen=[(3600, 7200)]), sampled(), sampled()
    views = [view(*p, vantage=n) for n, p in zip("abc", (a, b, c), strict=True)]
    assert judge(watched(*views), uptime()).verdict is Verdict.PASS


def test_the_figure_shows_the_day_without_a_hole() -> None:
    (figure,) = verdict(sampled(down=[(3600, 3705)], unseen=[(7200, 10800)])).figures
    (name, spans) = figure.rows[0]
    assert name == "front"
    assert figure.until == DAY
    assert spans[0][0] == 0
    assert spans[-1][1] == DAY
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert {state for *_, state in spans} == {"up", "down", "unknown"}


def test_a_day_of_flapping_is_drawn_with_few_spans_that_hide_no_outage() -> None:
    """8,640 changes become at most 400 spans."""
    points = [Point(T0 + n * 5, n % 4 < 2, 5.0) for n in range(17281)]
    (figure,) = judge(watched(view(*points)), uptime()).figures
    assert len(figure.rows[0][1]) <= 401
    assert "down" in {state for *_, state in figure.rows[0][1]}


@given(st.lists(st.sampled_from("ud?"), min_size=1, max_size=14))
def test_bounds_are_the_published_ones_for_every_small_case(seen: list[str]) -> None:
    """k failures in a row between answers that were up: at least (k-1) I, at most (k+1) I; k missing: k I unknown."""
    points = [Point(T0 + n, s == "u", 1.0) for n, s in enumerate(["u", *seen, "u"]) if s != "?"]
    lost = spent([stretches(points)], 1, T0, T0 + len(seen) + 1)
    runs = [(key, len(list(group))) for key, group in itertools.groupby(seen)]
    assert lost.low_s == sum(k - 1 for key, k in runs if key == "d")
    if "?" not in seen:
        assert lost.high_s == sum(k + 1 for key, k in runs if key == "d")
    if "d" not in seen:
        assert lost.high_s == sum(k for key, k in runs if key == "?")
    assert sum(s.end - s.start for s in lost.stretches) == len(seen) + 1


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 6)), max_size=4),
    st.floats(0.05, 0.95),
    st.sets(st.integers(0, 60), max_size=8),
)
def test_an_outage_longer_than_the_interval_lies_within_the_bounds(
    outages: list[tuple[float, float]], phase: float, missing: set[int]
) -> None:
    """For any real outages: the truth (those that a sample hit) is never under the lower bound."""
    truth = [(start, start + length) for start, length in outages]
    points = [
        Point(T0 + n + phase, not any(a <= n + phase < b for a, b in truth), 1.0)
        for n in range(61)
        if n not in missing
    ]
    lost = spent([stretches(points)], 1, T0, T0 + 61)
    grid = 0.01
    really = sum(any(a <= x * grid < b for a, b in truth) for x in range(int(61 / grid))) * grid
    short_ups = sum(
        1.0 for (_, b), (a, _) in itertools.pairwise(sorted(truth)) if 0 < a - b < 1
    )  # an up time shorter than the interval can be missed, as an outage can
    assert lost.low_s <= really + short_ups * 1.0 + 0.1
    assert 0 <= lost.low_s <= lost.high_s <= 61 + 1e-6


@given(
    st.lists(
        st.lists(st.sampled_from(["up", "down", "unknown"]), min_size=6, max_size=6), min_size=1, max_size=5
    )
)
def test_the_majority_decides_each_moment(views: list[list[str]]) -> None:
    made = [tuple(Stretch(float(n), n + 1.0, s) for n, s in enumerate(v)) for v in views]
    lost = spent(made, len(made), 0.0, 6.0)
    down = sum(2 * [v[n] for v in views].count("down") > len(views) for n in range(6))
    up = sum(2 * [v[n] for v in views].count("up") > len(views) for n in range(6))
    assert (lost.low_s, lost.high_s) == (down, 6 - up)


def test_a_smaller_promise_has_a_larger_budget() -> None:
    assert uptime().budget_s == 86.4
    assert uptime(window=timedelta(hours=1), availability=99).budget_s == 36
