"""What wrk2 printed passes when its counts show it, whatever it does not tell; what it does not tell is said.

It tells no second, so a pass takes all slow requests as one stall, the worst that they can be. It tells no outcome of requests
that were not answered when it ended, or that a socket's error met: a pass takes them as slow, a failure as quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.load.facts import Spectrum
from pytest_deploygate.checks.load.judge.load import Criterion
from pytest_deploygate.judging import binomial, quantiles
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.load.section import Load

_KEPT = 0.99
_SLACK = 0.999


def spectrum_criteria(load: Load) -> list[Criterion]:
    """Return the limits of the load's one endpoint: p50 and p99. A failure of either is shared by two tests."""
    (endpoint,) = load.endpoints
    limits = load.limits_of(endpoint)
    return [
        Criterion(
            endpoint.label, q, each.total_seconds(), limits.alpha, limits.alpha / 2, load.peak_per_second
        )
        for q, each in ((0.5, limits.p50), (0.99, limits.p99))
    ]


def judge_spectrum(found: Spectrum, criterion: Criterion) -> Judgement:
    """Decide one quantile against its limit; what the counts cannot decide is inconclusive."""
    least, recorded_most = found.over(criterion.limit_s)
    unknown = (found.due - found.recorded) + sum(found.broken.values())
    most = min(found.due, recorded_most + unknown + found.bad_status)
    doubts = list(_doubts(found, criterion))
    about = f"{criterion.name} of {criterion.endpoint}"
    limit = words_for(criterion.limit_s)
    if not _kept(found):
        verdict, reason = (
            Verdict.INCONCLUSIVE,
            f"{about} (limit {limit}) cannot be determined: {_not_kept(found)}",
        )
    elif why := _fails(found, criterion, least):
        verdict, reason = Verdict.FAIL, f"{about} is over {limit}: {why}"
    elif doubts:
        verdict = Verdict.INCONCLUSIVE
        reason = f"{about} (limit {limit}) cannot be determined: {'; '.join(doubts)}"
    elif _passes(found.due, most, criterion):
        verdict = Verdict.PASS
        reason = (
            f"{about} is under {limit}: at most {most} of {found.due} requests took longer or failed, "
            f"{1 - criterion.quantile:.0%} allowed, even if they were one stall; an answer counts as good if its status is below 400"
        )
    else:
        verdict = Verdict.INCONCLUSIVE
        reason = (
            f"{about} (limit {limit}) cannot be determined: {least} to {most} of {found.due} requests are over it, "
            f"{1 - criterion.quantile:.0%} allowed, and wrk2 does not print whether they were one stall; run longer, or "
            "measure with `deploygate load` or k6"
        )
    return Judgement(
        verdict,
        reason,
        readings=tuple(_readings(found, criterion, least, most)),
        notes=tuple(_notes(found)),
    )


def _kept(found: Spectrum) -> bool:
    return found.answered >= found.planned * _KEPT


def _not_kept(found: Spectrum) -> str:
    return (
        f"wrk2 had {found.answered} answers of {found.planned} planned requests, and does not print whether it or the platform "
        "was too slow: give it more connections (-c) and free CPU, and if they do not help, the platform cannot take this rate"
    )


def _fails(found: Spectrum, criterion: Criterion, least: int) -> str:
    """Return what certainly fails: recorded answers over the limit, or answers with a bad status. Two tests share alpha."""
    alpha, may = criterion.alpha_fail / 2, 1 - criterion.quantile
    for over, of, what in (
        (least, found.recorded, "took longer"),
        (found.bad_status, found.answered, "had a status of 400 or above"),
    ):
        if of and over and binomial.at_least(over, of, may) <= alpha:
            return f"{over} of {of} answers ({over / of:.2%}) {what}, {may:.0%} allowed"
    return ""


def _passes(due: int, most: int, criterion: Criterion) -> bool:
    """Whether so few would be over the limit by chance, if all that are were one stall and count as one."""
    together = max(1, most)
    return binomial.at_most(most / together, due / together, 1 - criterion.quantile) <= criterion.alpha


def _doubts(found: Spectrum, criterion: Criterion) -> Iterator[str]:
    """Yield the reasons why the run is not enough for a pass."""
    peak = criterion.peak_per_second
    if peak is not None and found.greatest_rate < peak * _SLACK:
        yield (
            f"the load was {found.greatest_rate:g}/s and the declared peak is {peak:g}/s, so the peak was not tested; run wrk2 "
            f"with -R {peak:g}"
        )
    needed = quantiles.needed(criterion.quantile, criterion.alpha)
    if found.recorded < needed:
        yield f"{found.recorded} recorded answers are too few, {criterion.name} needs {needed}; run longer"
    if found.recorded_s < quantiles.FEWEST_BLOCKS:
        yield (
            f"wrk2 recorded {words_for(found.recorded_s)} of its run, less than {quantiles.FEWEST_BLOCKS} s: it drops its first "
            "ten seconds; run longer"
        )


def _readings(found: Spectrum, criterion: Criterion, least: int, most: int) -> Iterator[Reading]:
    value, may = found.within(criterion.quantile), 1 - criterion.quantile
    yield Reading(
        f"{criterion.name} of the answers that wrk2 recorded",
        None if value is None else round(value * 1000, 3),
        "ms",
        f"< {criterion.limit_s * 1000:g} ms",
        None if value is None else value < criterion.limit_s,
    )
    for what, count, of in (
        ("over the limit, at least", least, found.recorded),
        ("over the limit, at most", most, found.due),
        ("status of 400 or above", found.bad_status, found.answered),
    ):
        yield Reading(what, round(100 * count / max(1, of), 3), "%", f"< {may:.0%}", count < of * may)
    yield Reading("answers", found.answered, "", f"at least {found.planned * _KEPT:.0f}", _kept(found))


def _notes(found: Spectrum) -> Iterator[str]:
    yield "wrk2 measured this; how late it was itself is unknown, and counts as the platform's time"
    yield (
        "wrk2 counts every status below 400 as good, redirects among them, and looks at no text: whether the answers were "
        "those that the inventory wants was not looked at"
    )
    yield (
        "wrk2 prints no method, header or body, and no request of a Lua script: whether it sent the endpoint's request is not "
        "known"
    )
    if found.recorded_s < found.lasted_s - 1:
        yield (
            f"wrk2 recorded the last {words_for(found.recorded_s)} of {words_for(found.lasted_s)}: a stall before that is not seen"
        )
    if missing := found.due - found.recorded:
        yield f"{missing} requests that were due had no answer when wrk2 ended; for a pass they count as slow"
    if any(found.broken.values()):
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.broken.items() if count)
        yield f"socket errors: {kinds}; for a pass each counts as a slow request"
    if found.bad_status:
        yield f"{found.bad_status} of {found.answered} answers had a status of 400 or above, which wrk2 times as any other"
