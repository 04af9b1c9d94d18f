"""The bounds of the error ratio decide; what is unknown, too little or doubtful is inconclusive."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest

from pytest_deploygate.checks.errors import judge
from pytest_deploygate.checks.errors.facts import Found, Source, ToppedUp, Window
from pytest_deploygate.checks.errors.section import Errors
from pytest_deploygate.judging.counters import Counted, Scraped, counted
from pytest_deploygate.model import Judgement, Verdict

HOUR = 3600.0
TARGET = ("app", "a:1")
SELECTOR = "http_requests_total"


def criterion(**more: Any) -> Errors:
    given = {
        "counters": [{"name": "app", "requests": SELECTOR, "errors": SELECTOR + '{code=~"5.."}'}],
        "balancer": "none",
        "burn_rates": [],
    }
    return Errors.model_validate(given | more)


def counter(rises: Sequence[float], *, window_s: float = HOUR, code: str = "200", **labels: str) -> Counted:
    step = window_s / len(rises)
    samples = [(n * step, float(value)) for n, value in enumerate(itertools.accumulate([0, *rises]))]
    found = [({"job": "app", "instance": "a:1", "code": code, **labels}, samples)]
    return counted(SELECTOR, found, Scraped({}, {}), (0.0, window_s), parts=60)


def nothing(selector: str = SELECTOR) -> Counted:
    return counted(selector, [], Scraped({}, {}), (0.0, HOUR), parts=60)


def found(requests: Counted, errors: Counted, *, unseen: str = "", **more: Any) -> Found:
    return Found((Source("app", (Window(HOUR, requests, errors),), unseen),), **more)


def judged(requests: Counted, errors: Counted, **more: Any) -> Judgement:
    return judge.judge(found(requests, errors, **more), criterion())


@pytest.mark.parametrize(
    ("requests", "errors", "verdict"),
    [
        (2994, 0, Verdict.INCONCLUSIVE),
        (2995, 0, Verdict.PASS),
        (4741, 1, Verdict.INCONCLUSIVE),
        (4800, 1, Verdict.PASS),
        (10_000, 40, Verdict.FAIL),
        (1000, 20, Verdict.FAIL),
        (0, 0, Verdict.INCONCLUSIVE),
    ],
)
def test_upper_bound_under_the_budget_passes(requests: int, errors: int, verdict: Verdict) -> None:
    spread = [requests // 60] * 59
    spread.append(requests - sum(spread))
    failed = [1 if n < errors else 0 for n in range(60)] if errors <= 60 else []
    assert judged(counter(spread), counter(failed, code="500")).verdict is verdict


def test_two_percent_is_said_with_its_numbers() -> None:
    found = judged(counter([50] * 60), counter([1] * 60, code="500"))
    assert found.verdict is Verdict.FAIL
    assert "app: 60 of 3000 requests failed (2.000%) in 60 min, at most 0.100% may" in found.reason


def test_errors_in_one_burst_do_not_pass_as_independent_ones() -> None:
    """Three errors of 9,000 pass when they are spread, and not when they come together."""
    spread = [1 if n in (5, 25, 45) else 0 for n in range(60)]
    burst = [3 if n == 5 else 0 for n in range(60)]
    assert judged(counter([150] * 60), counter(spread, code="500")).verdict is Verdict.PASS
    together = judged(counter([150] * 60), counter(burst, code="500"))
    assert together.verdict is Verdict.INCONCLUSIVE
    assert "come in bursts" in together.reason


def test_no_series_of_errors_is_no_error_only_where_the_labels_are_there() -> None:
    assert judged(counter([100] * 60), nothing()).verdict is Verdict.PASS
    unseen = judged(counter([100] * 60), nothing(), unseen="no series of it has the label status")
    assert unseen.verdict is Verdict.INCONCLUSIVE
    assert "no series of it has the label status" in unseen.reason


def test_no_series_of_requests_is_unknown() -> None:
    absent = judged(nothing(), nothing())
    assert absent.verdict is Verdict.INCONCLUSIVE
    assert "no series http_requests_total" in absent.reason


def test_stale_samples_are_unknown() -> None:
    step = 60.0
    samples = [(n * step, 100.0 * n) for n in range(30)]
    old = counted(SELECTOR, [({"job": "app"}, samples)], Scraped({}, {}), (0.0, HOUR), parts=60)
    stale = judged(old, nothing())
    assert stale.verdict is Verdict.INCONCLUSIVE
    assert "the newest sample of http_requests_total is 31" in stale.reason


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_counts_are_unknown(value: float) -> None:
    samples = [(n * 60.0, value if n == 7 else 100.0 * n) for n in range(61)]
    odd = counted(SELECTOR, [({"job": "app"}, samples)], Scraped({}, {}), (0.0, HOUR), parts=60)
    found = judged(odd, nothing())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert f'{{job="app"}} has the value {value:g}' in found.reason


def test_more_errors_than_requests_do_not_belong_together() -> None:
    found = judged(counter([1] * 60), counter([2] * 60, code="500"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "they do not belong together" in found.reason


def test_first_errors_of_a_new_series_fail() -> None:
    """`increase()` would see none of them."""
    up = Scraped({TARGET: [(n * 60.0, 1.0) for n in range(61)]}, {})
    samples = [(n * 60.0, 60.0) for n in range(40, 61)]
    labels = {"job": "app", "instance": "a:1", "code": "500"}
    born = counted(SELECTOR, [(labels, samples)], up, (0.0, HOUR), parts=60)
    assert judged(counter([50] * 60), born).verdict is Verdict.FAIL


def test_errors_of_unknown_age_that_decide_are_inconclusive() -> None:
    samples = [(n * 60.0, 60.0) for n in range(40, 61)]
    labels = {"job": "app", "instance": "b:1", "code": "500"}
    appeared = counted(SELECTOR, [(labels, samples)], Scraped({}, {}), (0.0, HOUR), parts=60)
    found = judged(counter([50] * 60), appeared)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "before their first scrape could change the verdict" in found.reason


def test_target_that_stopped_answering_is_a_doubt() -> None:
    good = [(n * 60.0, 100.0 * n) for n in range(61)]
    ended = good[:20]
    one, two = ({"job": "app", "instance": each} for each in ("a:1", "b:1"))
    down = Scraped({("app", "b:1"): [(n * 60.0, float(n < 20)) for n in range(61)]}, {})
    both = counted(SELECTOR, [(one, good), (two, ended)], down, (0.0, HOUR), parts=60)
    found = judged(both, nothing())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "as their scrapes fail" in found.reason


def test_requests_of_our_own_count_and_are_named() -> None:
    few = counter([10] * 60)
    assert judged(few, nothing()).verdict is Verdict.INCONCLUSIVE
    missing = judge.lacking(found(few, nothing()), criterion()).requests
    assert 2395 <= missing <= 2500
    enough = judged(few, nothing(), topped_up=ToppedUp(missing, 0, ""))
    assert enough.verdict is Verdict.PASS
    assert f"{missing} requests of our own are included, 0 of them failed" in enough.notes
    failed = judged(few, nothing(), topped_up=ToppedUp(missing, 40, ""))
    assert failed.verdict is Verdict.FAIL
    stopped = judged(few, nothing(), topped_up=ToppedUp(missing, 0, "a quarter of them failed"))
    assert stopped.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("requests", "errors", "why"),
    [
        (counter([100] * 60), nothing(), "enough"),
        (counter([10] * 60), counter([1] * 60), "fails"),
        (nothing(), nothing(), "unknown"),
    ],
)
def test_nothing_is_lacking_where_more_requests_would_not_help(
    requests: Counted, errors: Counted, why: str
) -> None:
    assert judge.lacking(found(requests, errors), criterion()).requests == 0, why


def pair(long: tuple[int, int], short: tuple[int, int]) -> Found:
    """Return requests and errors over 1 h and over the last 5 min."""
    windows = [Window(HOUR, counter([100] * 60), nothing())]
    for seconds, (requests, errors) in ((6 * HOUR, long), (1800.0, short)):
        spread = [requests / 60] * 60
        failed = [errors / 60] * 60
        windows.append(
            Window(seconds, counter(spread, window_s=seconds), counter(failed, window_s=seconds, code="500"))
        )
    return Found((Source("app", tuple(windows), ""),))


@pytest.mark.parametrize(
    ("long", "short", "verdict"),
    [
        ((60_000, 1200), (6000, 120), Verdict.FAIL),
        ((60_000, 1200), (6000, 0), Verdict.PASS),  # it is over
        ((60_000, 60), (6000, 120), Verdict.PASS),  # it has just begun, and used little
        ((60_000, 1200), (60, 0), Verdict.INCONCLUSIVE),
    ],
)
def test_both_windows_of_a_pair_must_burn(
    long: tuple[int, int], short: tuple[int, int], verdict: Verdict
) -> None:
    rates = criterion(burn_rates=[{"factor": 6, "long": "6h", "short": "30m"}])
    said = judge.judge(pair(long, short), rates)
    assert said.verdict is verdict, said.reason
    if verdict is Verdict.FAIL:
        assert "being used 20 times as fast as it may (limit 6)" in said.reason


def test_long_window_without_samples_is_noted_and_not_judged() -> None:
    windows = [
        Window(HOUR, counter([100] * 60), nothing()),
        Window(6 * HOUR, counter([100] * 60), nothing()),
        Window(1800.0, counter([100] * 60, window_s=1800.0), nothing()),
    ]
    short = Found((Source("app", tuple(windows), ""),))
    said = judge.judge(short, criterion(burn_rates=[{"factor": 6, "long": "6h", "short": "30m"}]))
    assert said.verdict is Verdict.PASS
    assert "app: the burn rate over 6 h is not judged: there are samples of 60 min" in said.notes


def test_picture_has_the_budget_and_gaps() -> None:
    figure = judged(counter([100] * 60), counter([0] * 59 + [1], code="500")).figures[0]
    assert (figure.limit, figure.unit) == (0.1, "%")  # type: ignore[union-attr]


def test_selector_must_be_plain() -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        criterion(counters=[{"name": "app", "requests": "rate(x[5m])", "errors": "y"}])
    with pytest.raises(ValueError, match="two of `counters` are called"):
        criterion(counters=[{"name": "app", "requests": "x", "errors": "y"}] * 2)
    with pytest.raises(ValueError, match="balancer"):
        Errors.model_validate({"counters": [{"name": "app", "requests": "x", "errors": "y"}]})
