"""Quantiles against limits, on counts: exact, checked against scipy, and never overconfident."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_deploygate.judging import binomial, proportions, quantiles
from pytest_deploygate.model import Verdict

ALPHA = 0.05


@given(st.integers(1, 200_000), st.floats(0, 1), st.floats(0.0005, 0.9995))
@settings(max_examples=300, deadline=None)
def test_tails_are_scipys(n, part, q):
    """Both binomial tails agree with scipy, also far in the tails."""
    k = round(part * n)
    assert binomial.at_most(k, n, q) == pytest.approx(stats.binom.cdf(k, n, q), rel=1e-6, abs=1e-12)
    assert binomial.at_least(k, n, q) == pytest.approx(stats.binom.sf(k - 1, n, q), rel=1e-6, abs=1e-12)


@given(st.integers(1, 1_000_000), st.floats(0, 1), st.sampled_from([0.05, 0.025, 0.001]))
@settings(max_examples=100, deadline=None)
def test_bounds_are_scipys(n, part, alpha):
    """Clopper-Pearson bounds agree with the beta quantiles that define them."""
    k = round(part * n)
    low, high = binomial.bounds(k, n, alpha)
    assert low == pytest.approx(stats.beta.ppf(alpha, k, n - k + 1) if k else 0.0, rel=1e-6, abs=1e-10)
    assert high == pytest.approx(
        stats.beta.ppf(1 - alpha, k + 1, n - k) if k < n else 1.0, rel=1e-6, abs=1e-10
    )


@pytest.mark.parametrize("bad", [(-1, 5, 0.5), (6, 5, 0.5), (1, 5, 1.5)])
def test_what_is_no_count_is_refused(bad):
    with pytest.raises(ValueError, match="not a binomial count"):
        binomial.at_most(*bad)


@pytest.mark.parametrize(
    ("n", "over", "quantile", "verdict"),
    [
        (299, 0, 0.99, "pass"),
        (298, 0, 0.99, "inconclusive"),
        (1000, 4, 0.99, "pass"),
        (1000, 5, 0.99, "inconclusive"),
        (1000, 15, 0.99, "inconclusive"),
        (1000, 16, 0.99, "fail"),
        (10_000, 83, 0.99, "pass"),
        (10_000, 84, 0.99, "inconclusive"),
        (10_000, 118, 0.99, "fail"),
        (1000, 473, 0.5, "pass"),
        (1000, 474, 0.5, "inconclusive"),
        (1000, 527, 0.5, "fail"),
        (0, 0, 0.99, "inconclusive"),
        (1, 1, 0.99, "fail"),
    ],
)
def test_edges_of_the_decision(n, over, quantile, verdict):
    """The counts at which a verdict changes are those of the exact test."""
    assert quantiles.decide([(n, over)], quantile, ALPHA).verdict is Verdict(verdict)


def test_clustered_slow_requests_weigh_less_for_a_pass():
    """60 slow ones in 10,000 pass when spread evenly; all in one second of a hundred, they prove nothing."""
    spread = [(100, int(n % 100 < 60)) for n in range(100)]
    together = [(100, 60 if n == 7 else 0) for n in range(100)]
    assert quantiles.decide(spread, 0.99, ALPHA).verdict is Verdict.PASS
    found = quantiles.decide(together, 0.99, ALPHA)
    assert found.design_effect > 50
    assert found.verdict is Verdict.INCONCLUSIVE


def test_fail_speaks_of_what_the_run_saw():
    """A stall of 2 s in 50 s fails on raw counts, though its requests count as one."""
    blocks = [(100, 100 if n in (10, 11) else 0) for n in range(50)]
    assert quantiles.decide(blocks, 0.99, ALPHA).verdict is Verdict.FAIL


def test_looking_every_second_hardly_ever_stops_a_run_at_the_limit():
    """Runs whose true share is exactly the limit's are stopped early in less than alpha of all cases."""
    rng = random.Random(7)
    stopped = 0
    for _ in range(200):
        blocks = []
        for _ in range(30):
            blocks.append((100, sum(rng.random() < 0.01 for _ in range(100))))
            if quantiles.fails_already(blocks, 3000, 0.99, 0.01):
                stopped += 1
                break
    assert stopped <= 10


def test_a_run_is_stopped_when_nothing_can_save_it():
    """All over the limit: stopped after ten seconds; certain by count even before."""
    assert quantiles.fails_already([(100, 100)] * 10, 100_000, 0.5, ALPHA)
    assert not quantiles.fails_already([(100, 100)] * 3, 100_000, 0.5, ALPHA)
    assert quantiles.fails_already([(100, 100)] * 3, 1000, 0.99, ALPHA)
    one_stall = [(100, 100), *[(100, 0)] * 14]
    assert not quantiles.fails_already(one_stall, 100_000, 0.99, ALPHA), (
        "a stall may be the only one in the run"
    )


def test_holm_is_stricter_the_more_is_looked_at():
    assert quantiles.holm({"a": 0.04}, ALPHA) == {"a"}
    assert quantiles.holm({"a": 0.04, "b": 0.5}, ALPHA) == set()
    assert quantiles.holm({"a": 0.001, "b": 0.03, "c": 0.9}, ALPHA) == {"a"}
    assert quantiles.holm({}, ALPHA) == set()


def test_order_bounds_hold_the_true_quantile():
    """The bounds' coverage is that of the binomial: checked with scipy at their ranks."""
    low, high = quantiles.order_bounds(5000, 0.99, ALPHA)
    assert low < 0.99 < high
    assert stats.binom.cdf(round(low * 5000) - 1, 5000, 0.99) <= ALPHA
    assert stats.binom.sf(round(high * 5000) - 1, 5000, 0.99) <= ALPHA
    assert quantiles.order_bounds(50, 0.99, ALPHA)[1] == 1.0


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_fisher_is_scipys(n, m, part, other):
    k, j = round(n * part), round(m * other)
    theirs = stats.fisher_exact([[k, n - k], [j, m - j]], alternative="greater").pvalue
    assert proportions.fisher(k, n, j, m) == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (proportions.under(0, 2995, 0.001), "pass"),
        (proportions.under(0, 2994, 0.001), "inconclusive"),
        (proportions.under(20, 1000, 0.001), "fail"),
        (proportions.under(0, 0, 0.001), "inconclusive"),
        (proportions.over(1000, 1000, 0.99), "pass"),
        (proportions.over(900, 1000, 0.99), "fail"),
        (proportions.within(500, 1000, 0.4, 0.6), "pass"),
        (proportions.within(500, 1000, 0.49, 0.51), "inconclusive"),
        (proportions.within(300, 1000, 0.4, 0.6), "fail"),
    ],
)
def test_shares_against_bounds(found, verdict):
    assert found.verdict is Verdict(verdict)
