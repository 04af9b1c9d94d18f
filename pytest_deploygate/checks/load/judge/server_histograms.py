"""Response times by the server's own histogram: counts at its bounds, without interpolation.

If the limit is inside a bucket, it is unknown on which side of it that bucket's requests were. Both ends are judged, and
if they differ the result is inconclusive.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.load.facts import Scrape, ServerHistogram
from pytest_deploygate.judging import quantiles
from pytest_deploygate.judging.quantiles import Decided
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Distribution, Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.load.section import LatencyLimits, Load

_SAME = 1e-9


@dataclass(frozen=True)
class Criterion:
    """The limit of one quantile of the server's own response times."""

    quantile: float
    limit_s: float
    alpha: float

    @property
    def name(self) -> str:
        """`p50`, `p99`."""
        return f"p{100 * self.quantile:g}"


def histogram_criteria(load: Load) -> list[Criterion]:
    """Return p50 and p99; each fails at half of alpha, as there are two."""
    return criteria_for(load.limits)


def criteria_for(limits: LatencyLimits) -> list[Criterion]:
    """Return p50 and p99 with these limits."""
    return [
        Criterion(0.5, limits.p50.total_seconds(), limits.alpha),
        Criterion(0.99, limits.p99.total_seconds(), limits.alpha),
    ]


def judge_histogram(found: ServerHistogram, criterion: Criterion) -> Judgement:
    """Judge the counts over the limit; old or missing samples are inconclusive."""
    about = (
        f"{criterion.name} by the server's histogram {found.metric} (limit {criterion.limit_s * 1000:g} ms)"
    )
    scrapes = (*found.scrapes, *found.appeared)
    total = sum(scrape.at_or_below[-1] for scrape in scrapes)
    if found.newest_age_s > found.newest_within_s:
        age, most = words_for(found.newest_age_s), words_for(found.newest_within_s)
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{about}: its newest sample is {age} old (limit {most}): check that it is scraped",
        )
    if total == 0:
        window = words_for(found.window_s)
        return Judgement(
            Verdict.INCONCLUSIVE, f"{about}: no request was counted in {window}, so nothing can be judged"
        )
    low, high = around(found.bounds_s, criterion.limit_s)
    best, worst = (_decide(scrapes, end, criterion) for end in ((high, True), (low, False)))
    if worst.verdict is best.verdict:
        verdict, reason = worst.verdict, f"{about}: {_share(worst, best)} took longer; {_may(criterion)}"
        if verdict is Verdict.INCONCLUSIVE:
            reason += f": too close, or too few, to decide with {total} requests; use a longer window"
    else:
        verdict, reason = Verdict.INCONCLUSIVE, f"{about}: {_inside(found, criterion, best, worst)}"
    if verdict is not Verdict.INCONCLUSIVE and found.new:
        known = [_decide(found.scrapes, end, criterion) for end in ((high, True), (low, False))]
        if any(each.n == 0 or each.verdict is not verdict for each in known):
            verdict, reason = (
                Verdict.INCONCLUSIVE,
                f"{about}: {_share(worst, best)} took longer, but {_new(found)}",
            )
    if verdict is Verdict.PASS and (found.silent or found.unread):
        told = [*([_silent(found)] if found.silent else ()), *([_unread(found)] if found.unread else ())]
        verdict, reason = Verdict.INCONCLUSIVE, f"{about}: {'; '.join(told)}"
    return Judgement(
        verdict,
        reason,
        readings=(
            Reading("requests", total),
            *(
                Reading(
                    f"requests over {criterion.limit_s * 1000:g} ms, at {which}",
                    round(100 * decided.over / decided.n, 3),
                    "%",
                    f"< {1 - criterion.quantile:.0%}",
                    decided.over < decided.n * (1 - criterion.quantile),
                )
                for which, decided in (("least", best), ("most", worst))
            ),
            Reading("servers", found.series),
            Reading("counter resets", found.resets),
            Reading("design effect", round(worst.design_effect, 2)),
        ),
        notes=tuple(_notes(found)),
        figures=(_figure(found, scrapes, total, criterion),),
    )


def around(bounds_s: Sequence[float], limit_s: float) -> tuple[int, int]:
    """Return the indexes of the bounds just below and above a limit; the same twice if it is a bound. -1: below all."""
    at = bisect_left(bounds_s, limit_s - _SAME)
    exact = abs(bounds_s[at] - limit_s) <= _SAME
    return (at, at) if exact else (at - 1, at)


def _decide(scrapes: Sequence[Scrape], end: tuple[int, bool], criterion: Criterion) -> Decided:
    """Decide as if all requests over a bound took too long: all that may be, or (`True`) only those that must be."""
    bound, only_sure = end
    blocks = []
    for scrape in scrapes:
        n, counts = scrape.at_or_below[-1], scrape.perhaps if only_sure else scrape.at_or_below
        blocks.append((n, max(0, n - (counts[bound] if bound >= 0 else 0))))
    return quantiles.decide(blocks, criterion.quantile, criterion.alpha, criterion.alpha / 2)


def _inside(found: ServerHistogram, criterion: Criterion, best: Decided, worst: Decided) -> str:
    """Say that the limit is no bound of a bucket which holds requests."""
    low, high = around(found.bounds_s, criterion.limit_s)
    where = (
        f"inside the bucket {_bound(found, low)} to {_bound(found, high)}, which holds"
        if low != high
        else f"inside a bucket of some servers, which have none at {criterion.limit_s:g} s and hold there"
    )
    return (
        f"the limit lies {where} {worst.over - best.over} of {worst.n} requests: on which side of the limit they were is "
        f"unknown; add a bucket at {criterion.limit_s:g} s to the histogram of each server"
    )


def _new(found: ServerHistogram) -> str:
    """Say which servers were first scraped within the window, with counts of unknown age that decide."""
    count = sum(scrape.at_or_below[-1] for scrape in found.appeared)
    return (
        f"{count} requests were counted before the first scrape of {len(found.new)} of {found.series} servers "
        f"({_few(found.new)}): when they were is unknown, and without them the result is another; run this again in "
        f"{words_for(found.window_s)}"
    )


def _unread(found: ServerHistogram) -> str:
    return f"{len(found.unread)} of {found.series} servers cannot be read, so their requests are unknown: {_few(found.unread)}"


def _few(names: Sequence[str]) -> str:
    return "; ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _share(worst: Decided, best: Decided) -> str:
    if worst.over == best.over:
        return f"{worst.over} of {worst.n} requests ({worst.over / worst.n:.2%})"
    return f"{best.over} to {worst.over} of {worst.n} requests"


def _silent(found: ServerHistogram) -> str:
    """Say which servers are no longer scraped: their requests since then may be slow and were not counted."""
    return (
        f"{len(found.silent)} of {found.series} servers have not been scraped for over {words_for(found.newest_within_s)} "
        f"({_few(found.silent)}): their requests are unknown; if they were removed, run this again after {words_for(found.window_s)}, "
        "or exclude them with `selector`"
    )


def _may(criterion: Criterion) -> str:
    return f"{1 - criterion.quantile:.0%} allowed"


def _bound(found: ServerHistogram, number: int) -> str:
    return "0" if number < 0 else f"{found.bounds_s[number]:g} s"


def _notes(found: ServerHistogram) -> list[str]:
    notes = [
        f"the server's own view over {words_for(found.window_s)}: requests that never reached it, and waits before it, are not included"
    ]
    if found.unread:
        notes.append(_unread(found))
    if found.new:
        count = sum(scrape.at_or_below[-1] for scrape in found.appeared)
        notes.append(
            f"{count} requests counted before the first scrape of new servers are included: {_few(found.new)}"
        )
    if found.resets:
        notes.append(
            f"{found.resets} counter resets: a server was restarted; requests just before it are not counted"
        )
    return notes


def _figure(
    found: ServerHistogram, scrapes: Sequence[Scrape], total: int, criterion: Criterion
) -> Distribution:
    points = [
        (bound * 1000, sum(s.at_or_below[i] for s in scrapes) / total)
        for i, bound in enumerate(found.bounds_s[:-1])
    ]
    title = f"server's histogram {found.metric}"
    return Distribution(
        title, "ms", tuple(points), criterion.quantile, criterion.limit_s * 1000, samples=total
    )
