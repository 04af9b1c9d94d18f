"""Response times against their limits, as for load, and the servers' histogram against that of the run before.

Two histograms are compared by counts. The mark is the lowest bound at or below which the run before had the quantile of its
requests. Requests over the next bound that is slower by the tolerance are counted now: more of them than the run before had
over the mark itself is slower, fewer is not slower (Fisher's exact test, one-sided, each way).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_deploygate.checks.load.facts import LoadRun, ServerHistogram
from pytest_deploygate.checks.load.judge import (
    WHOLE,
    Pair,
    judge_histogram,
    judge_latency,
    judge_regression,
    latency_criteria,
    regression_criteria,
)
from pytest_deploygate.checks.load.judge.server_histograms import criteria_for
from pytest_deploygate.checks.performance.facts import Compared, Earlier
from pytest_deploygate.judging import quantiles
from pytest_deploygate.judging.proportions import fisher
from pytest_deploygate.model import Judgement, Reading, Verdict, combine, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.performance.section import Performance

__all__ = [
    "Compared",
    "Pair",
    "judge_client",
    "judge_client_regression",
    "judge_server",
    "judge_server_regression",
]

_QUANTILES = (0.5, 0.99)
_SAME = 1e-9
_FEWEST = 100


def judge_server(found: ServerHistogram, performance: Performance) -> Judgement:
    """Judge p50 and p99 by the servers' own histogram."""
    return combine(judge_histogram(found, criterion) for criterion in criteria_for(performance.limits))


def judge_client(run: LoadRun, performance: Performance) -> Judgement:
    """Judge p50 and p99 of all our own requests together."""
    load = performance.client.as_load(performance.client.requests, performance.limits)
    criteria = [each for each in latency_criteria(run, load) if each.endpoint == WHOLE]
    return combine(judge_latency(run.only(WHOLE), criterion) for criterion in criteria)


def judge_client_regression(pair: Pair, performance: Performance) -> Judgement:
    """Compare our own requests with those of the run before."""
    load = performance.client.as_load(performance.client.requests, performance.limits)
    load = load.model_copy(
        update={"baseline": performance.client_baseline, "slower_by": performance.slower_by}
    )
    whole = Pair(pair.run.only(WHOLE), pair.before)
    return combine(judge_regression(whole, criterion) for criterion in regression_criteria(load))


def judge_server_regression(pair: Compared, performance: Performance) -> Judgement:
    """Compare p50 and p99 of the servers' histogram with the run before. No record, or too few requests, is inconclusive."""
    return combine(_compared(pair, quantile, performance) for quantile in _QUANTILES)


def _compared(pair: Compared, quantile: float, performance: Performance) -> Judgement:
    now, before = pair.now, pair.before
    name = f"p{100 * quantile:g}"
    about = f"{name} by the servers' histogram {now.metric} against the run before"
    if problem := before.problem or _unlike(now, before):
        return Judgement(Verdict.INCONCLUSIVE, f"{about}: {problem}")
    n_before = before.counts[-1]
    mark = next(
        (
            n
            for n, count in enumerate(before.counts)
            if count >= quantile * n_before and math.isfinite(before.bounds_s[n])
        ),
        None,
    )
    if mark is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{about}: its {name} was over the largest bound, so it has no mark: add a larger bucket",
        )
    mark_s = before.bounds_s[mark]
    far = _bound_at(now, mark_s * (1 + performance.slower_by))
    if far is None or not math.isfinite(now.bounds_s[far]):
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{about}: there is no bucket beyond {words_for(mark_s * (1 + performance.slower_by))} that would show it: add one",
        )
    far_s = now.bounds_s[far]
    blocks = [(s.at_or_below[-1], s.at_or_below[-1] - s.perhaps[far]) for s in now.scrapes]
    k_now, n_now = sum(k for _, k in blocks), sum(n for n, _ in blocks)
    if min(n_now, n_before) < _FEWEST:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{about}: {n_now} requests now and {n_before} then are too few: use a longer window",
        )
    k_before = n_before - before.counts[mark]
    alpha = performance.limits.alpha
    effect = quantiles.design_effect(blocks)
    p_slower = fisher(*_fewer(k_now, n_now, effect), *_fewer(k_before, n_before, effect))
    p_not = fisher(*_fewer(k_before, n_before, effect), *_fewer(k_now, n_now, effect))
    verdict = Verdict.FAIL if p_slower <= alpha else Verdict.PASS if p_not <= alpha else Verdict.INCONCLUSIVE
    said = {
        Verdict.FAIL: f"slower by more than {performance.slower_by:.0%}",
        Verdict.PASS: f"not slower by {performance.slower_by:.0%}",
        Verdict.INCONCLUSIVE: f"whether it is slower by {performance.slower_by:.0%} cannot be determined: use a longer window",
    }[verdict]
    share_now, share_before = k_now / n_now, k_before / n_before
    return Judgement(
        verdict,
        f"{about}: {said}: {k_now} of {n_now} requests ({share_now:.2%}) took longer than {words_for(far_s)}, {k_before} of {n_before} "
        f"({share_before:.2%}) longer than {words_for(mark_s)} in the run until {before.until}",
        readings=(
            Reading(
                f"requests over {words_for(mark_s)} in the run before", round(100 * share_before, 3), "%"
            ),
            Reading(f"requests over {words_for(far_s)} now", round(100 * share_now, 3), "%"),
            _p_value(
                "p-value, slower", p_slower, f"> {alpha:g}", p_slower > alpha, verdict is not Verdict.PASS
            ),
            _p_value(
                "p-value, not slower", p_not, f"≤ {alpha:g}", p_not <= alpha, verdict is not Verdict.FAIL
            ),
        ),
        notes=(
            f"compared with {before.source}, over {words_for(before.window_s)} then and {words_for(now.window_s)} now",
        ),
    )


def _p_value(name: str, value: float, limit: str, ok: bool, decides: bool) -> Reading:
    rounded = float(f"{value:.3g}")
    return Reading(f"{name}", rounded, "", limit, ok) if decides else Reading(name, rounded)


def _fewer(over: int, n: int, effect: float) -> tuple[int, int]:
    """Return counts of effective independent requests: slow ones come together."""
    return round(over / effect), max(round(n / effect), 1)


def _unlike(now: ServerHistogram, before: Earlier) -> str:
    """Return why the two cannot be compared; empty if they can."""
    if now.newest_age_s > now.newest_within_s:
        return (
            f"its newest sample is {words_for(now.newest_age_s)} old (limit {words_for(now.newest_within_s)})"
        )
    if now.silent or now.unread:
        return f"{len(now.silent) + len(now.unread)} of {now.series} servers cannot be read: {'; '.join([*now.silent, *now.unread][:3])}"
    if before.counts != before.perhaps:
        return f"the servers of {before.source} had different buckets, so its counts are not exact: make a new record"
    return ""


def _bound_at(now: ServerHistogram, least_s: float) -> int | None:
    return next((n for n, bound in enumerate(now.bounds_s) if bound >= least_s * (1 - _SAME)), None)
