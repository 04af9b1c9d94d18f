"""Slower than before, or not: a two-sample test on counts, never on two percentiles.

The earlier run's quantile is the mark. The new run's requests that took longer than the mark plus a tolerance are counted.
More of them than the earlier run had over the mark itself: slower by more than the tolerance. Fewer: not slower.
Otherwise inconclusive (Fisher's exact test, one-sided, each way).
"""

from __future__ import annotations

import binascii
import zlib
from typing import TYPE_CHECKING

from hdrh.histogram import HdrHistogram

from pytest_deploygate.checks.load.facts import Baseline, LoadRun
from pytest_deploygate.judging.proportions import fisher
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict

if TYPE_CHECKING:
    from pytest_deploygate.checks.load.section import Load

_RATES_DIFFER = 0.1
_FEWEST = 100


@dataclass(frozen=True)
class Pair:
    """A run and the one before it; `run` holds the endpoint as its whole."""

    run: LoadRun
    before: Baseline


@dataclass(frozen=True)
class Criterion:
    """How much slower (0.25: a quarter) at one quantile is a regression."""

    quantile: float
    slower_by: float
    alpha: float

    @property
    def name(self) -> str:
        """`p50`, `p99`."""
        return f"p{100 * self.quantile:g}"


def regression_criteria(load: Load) -> list[Criterion]:
    """Return what is compared; nothing, and no finding, if the inventory names no baseline."""
    if load.baseline is None:
        return []
    return [Criterion(quantile, load.slower_by, load.limits.alpha) for quantile in (0.5, 0.99)]


def judge_regression(pair: Pair, criterion: Criterion) -> Judgement:
    """Compare a run with an earlier one. No baseline, another rate or too few requests are inconclusive."""
    now, before = pair.run.whole, pair.before
    about = f"{criterion.name} of {now.name} against the baseline"
    if problem := before.problem or _unlike(pair):
        return Judgement(Verdict.INCONCLUSIVE, f"{about}: {problem}; make one with a run at the same rate")
    try:
        earlier, later = HdrHistogram.decode(before.histogram), HdrHistogram.decode(now.histogram)
    except (ValueError, TypeError, binascii.Error, zlib.error, IndexError) as error:
        return Judgement(
            Verdict.INCONCLUSIVE, f"{about}: {before.source} contains no readable histogram ({error})"
        )
    good = before.requests - before.failed
    if criterion.quantile * before.requests > good:
        words = f"so many requests of the baseline failed that it has no {criterion.name}"
        return Judgement(Verdict.INCONCLUSIVE, f"{about}: {words}; use another baseline")
    mark = earlier.get_value_at_percentile(100 * criterion.quantile * before.requests / good)
    far = round(mark * (1 + criterion.slower_by))
    k_before = _over(earlier, mark) + before.failed
    k_now = _over(later, far) + now.failed
    p_slower = fisher(k_now, now.requests, k_before, before.requests)
    p_not = fisher(k_before, before.requests, k_now, now.requests)
    verdict = (
        Verdict.FAIL
        if p_slower <= criterion.alpha
        else Verdict.PASS
        if p_not <= criterion.alpha
        else Verdict.INCONCLUSIVE
    )
    said = {
        Verdict.FAIL: f"slower by more than {criterion.slower_by:.0%}",
        Verdict.PASS: f"not slower by {criterion.slower_by:.0%}",
        Verdict.INCONCLUSIVE: f"whether it is slower by {criterion.slower_by:.0%} cannot be determined; run longer",
    }[verdict]
    counts = (
        f"{k_now} of {now.requests} requests took longer than {far / 1000:.3g} ms (or failed), "
        f"{k_before} of {before.requests} longer than {mark / 1000:.3g} ms in the run of {before.started}"
    )
    return Judgement(
        verdict,
        f"{about}: {said}: {counts}",
        readings=(
            Reading(f"{criterion.name} of the baseline", round(mark / 1000, 3), "ms"),
            Reading(
                f"{criterion.name} now", None if (value := _value(pair, criterion)) is None else value, "ms"
            ),
            Reading(
                "p-value, slower",
                float(f"{p_slower:.3g}"),
                "",
                f"> {criterion.alpha:g}",
                p_slower > criterion.alpha,
            ),
            Reading(
                "p-value, not slower",
                float(f"{p_not:.3g}"),
                "",
                f"≤ {criterion.alpha:g}",
                p_not <= criterion.alpha,
            ),
        ),
        notes=(
            "the two runs' requests are assumed to be independent; a stall in one of them counts as a difference",
        ),
    )


def _value(pair: Pair, criterion: Criterion) -> float | None:
    value = pair.run.whole.p50_s if criterion.quantile == 0.5 else pair.run.whole.p99_s
    return None if value is None else round(value * 1000, 3)


def _unlike(pair: Pair) -> str:
    """Return why the two cannot be compared; empty if they can."""
    run, before = pair.run, pair.before
    if run.stopped:
        return f"this run was stopped ({run.stopped})"
    if min(run.whole.requests, before.requests) < _FEWEST or not run.whole.histogram:
        return (
            f"{run.whole.requests} requests now and {before.requests} then are too few, or none was answered"
        )
    rate = run.client.rate_achieved
    if abs(rate - before.rate) > _RATES_DIFFER * max(rate, before.rate):
        return f"the load was {rate:.0f}/s now and {before.rate:.0f}/s then: response times at different rates cannot be compared"
    return ""


def _over(histogram: HdrHistogram, value: int) -> int:
    """Count the requests over a value; its own bucket is not over it."""
    top = histogram.get_highest_equivalent_value(value)
    return sum(
        i.count_added_in_this_iter_step
        for i in histogram.get_recorded_iterator()
        if i.value_iterated_to > top
    )
