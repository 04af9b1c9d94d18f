"""Error ratios under the budget, by the bounds of the true ratio, and how fast the budget is being used.

Errors come in bursts, so a pass counts effective independent requests; a failure is about the requests as counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.errors.facts import Found, Lacking, Source, ToppedUp, Window
from pytest_deploygate.judging import binomial, counted_words, quantiles
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.counters import Counted
from pytest_deploygate.judging.quantiles import Block, Decided
from pytest_deploygate.model import Judgement, Reading, Series, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.errors.section import BurnRate, Errors

__all__ = ["judge", "lacking"]

#: A window of which less has samples is not judged.
_COVERED = 0.9
_MOST_MISSING = 1_000_000


def judge(found: Found, criterion: Errors) -> Judgement:
    """Judge each source by itself; what is counted twice need not agree, and each must be within the budget."""
    # Counts of a whole window with bounds need no second look.
    said = Collector(confirmed=True)
    for source in found.sources:
        _ratio(source, found.topped_up, criterion, said)
        for rate in criterion.burn_rates:
            _burns(source, rate, criterion, said)
    if criterion.balancer == "none":
        said.note("there is no load balancer whose own errors would have to be counted, by the inventory")
    if found.topped_up:
        _told(found.topped_up, said)
    judged = said.judgement(lambda: _good(found, criterion))
    return replace(judged, figures=tuple(_figures(found, criterion)))


def lacking(found: Found, criterion: Errors) -> Lacking:
    """Return how many more requests without an error would show the budget; 0 if they are not what is lacking.

    They are not where errors already show the opposite, or where something else is unknown.
    """
    missing = 0
    for source in found.sources:
        whole = source.windows[0]
        if unknown(source, whole) or next(_doubts(whole), ""):
            return Lacking(0)
        decided = _decide(whole, None, criterion)
        if decided.verdict is Verdict.FAIL:
            return Lacking(0)
        if decided.verdict is Verdict.INCONCLUSIVE:
            missing = max(missing, _missing(decided, criterion))
    return Lacking(missing)


def unknown(source: Source, window: Window) -> str:
    """Return why a window's ratio is unknown; empty if it is known."""
    if why := counted_words.unusable(window.requests):
        return why
    if not window.errors.series:
        if source.unseen:
            return (
                f"Prometheus has no series {window.errors.selector}, and {source.unseen}, so that need not mean that there was no "
                "error: check the selector, or let the counter start at 0"
            )
        return ""
    if window.errors.unread:
        return counted_words.unusable(window.errors)
    if window.errors.count + window.errors.appeared > window.requests.count + window.requests.appeared + 0.5:
        return (
            f"{window.errors.selector} counted {window.errors.count:.0f} errors, {window.requests.selector} only "
            f"{window.requests.count:.0f} requests: they do not belong together"
        )
    return ""


def _ratio(source: Source, added: ToppedUp | None, criterion: Errors, said: Collector) -> None:
    whole = source.windows[0]
    if why := unknown(source, whole):
        said.unknown(why, where=source.name)
        return
    said.note(*counted_words.notes(whole.requests), *counted_words.notes(whole.errors), where=source.name)
    decided = _decide(whole, added, criterion)
    if decided.n == 0:
        said.unknown(
            f"no request was counted in {words_for(whole.window_s)}: {_how_to_get_more(criterion)}",
            where=source.name,
        )
        return
    also = _with_appeared(whole, added, criterion)
    limit = f"< {criterion.budget:.3%}"
    value = float(f"{100 * decided.over / decided.n:.4g}")
    counted = f"{decided.over} of {decided.n} requests failed ({decided.over / decided.n:.3%}) in {words_for(whole.window_s)}"
    if also is not decided.verdict:
        said.read(Reading(f"error ratio, {source.name}", value, "%"))
        unsure = (whole.requests if whole.requests.appeared else whole.errors).new
        said.unknown(
            f"{counted}, but what {counted_words.few(unsure)} counted before their first scrape could change the verdict: run this "
            f"again in {words_for(whole.window_s)}",
            where=source.name,
        )
    elif decided.verdict is Verdict.FAIL:
        said.read(Reading(f"error ratio, {source.name}", value, "%", limit, ok=False))
        said.wrong(
            f"{counted}, at most {criterion.budget:.3%} may; the true ratio is at least {decided.low:.3%}",
            where=source.name,
        )
    elif decided.verdict is Verdict.PASS:
        high = float(f"{100 * decided.high:.4g}")
        said.read(
            Reading(f"error ratio, {source.name}", value, "%"),
            Reading(f"error ratio at most, {source.name}", high, "%", limit, ok=True),
        )
    else:
        said.read(Reading(f"error ratio, {source.name}", value, "%"))
        said.unknown(_undecided(decided, counted, criterion), where=source.name)
    said.unknown(*_doubts(whole), where=source.name)


def _burns(source: Source, rate: BurnRate, criterion: Errors, said: Collector) -> None:
    """Judge one pair of windows: burning if both are over the factor, not burning if one of them is under it."""
    pair = [_of(source, window.total_seconds()) for window in (rate.long, rate.short)]
    limit = min(rate.factor * criterion.budget, 1.0)
    name = f"{rate.factor:g} times the budget ({words_for(rate.long)} and {words_for(rate.short)})"
    if any(unknown(source, window) for window in pair):
        said.unknown(
            f"whether errors come at {name} is unknown: "
            + next(filter(None, (unknown(source, w) for w in pair))),
            where=source.name,
        )
        return
    if (covered := pair[0].requests.covered_s) < _COVERED * pair[0].window_s:
        said.note(
            f"the burn rate over {words_for(rate.long)} is not judged: there are samples of {words_for(covered)}",
            where=source.name,
        )
        return
    if limit >= 1.0:
        return
    decided = [quantiles.decide(_blocks(w, appeared=True), 1 - limit, criterion.alpha) for w in pair]
    burns = [each.over / each.n / criterion.budget if each.n else 0.0 for each in decided]
    value = float(f"{min(burns):.3g}")
    words = f"burn rate over {words_for(rate.long)} and {words_for(rate.short)}, {source.name}"
    if all(each.verdict is Verdict.FAIL for each in decided):
        said.read(Reading(words, value, "", f"< {rate.factor:g}", ok=False))
        long, short = decided
        said.wrong(
            f"the error budget is being used {min(burns):.3g} times as fast as it may (limit {rate.factor:g}): {long.over} of {long.n} "
            f"requests failed in {words_for(rate.long)}, {short.over} of {short.n} in the last {words_for(rate.short)}",
            where=source.name,
        )
    elif any(each.verdict is Verdict.PASS for each in decided):
        said.read(Reading(words, value, "", f"< {rate.factor:g}", ok=True))
    else:
        said.read(Reading(words, value))
        said.unknown(
            f"whether errors come at {name} cannot be decided: {decided[0].over} of {decided[0].n} and {decided[1].over} of "
            f"{decided[1].n} requests failed",
            where=source.name,
        )


def _of(source: Source, window_s: float) -> Window:
    return next(window for window in source.windows if window.window_s == window_s)


def _blocks(window: Window, *, appeared: bool = False) -> list[Block]:
    """Return (requests, errors) of each part of the window. Where scrapes are between, errors may come with a later part."""
    n, k = ([round(count) for count in counted.blocks] for counted in (window.requests, window.errors))
    if not window.errors.series:
        k = [0] * len(n)
    if appeared:
        n, k = [*n, round(window.requests.appeared)], [*k, round(window.errors.appeared)]
    if len(n) != len(k) or any(some > of for some, of in zip(k, n, strict=True)):
        return [(sum(n), min(sum(k), sum(n)))]
    return list(zip(n, k, strict=True))


def _decide(window: Window, added: ToppedUp | None, criterion: Errors, *, appeared: bool = False) -> Decided:
    blocks = _blocks(window, appeared=appeared)
    if added:
        blocks.append((added.requests, added.failed))
    return quantiles.decide(blocks, 1 - criterion.budget, criterion.alpha)


def _with_appeared(window: Window, added: ToppedUp | None, criterion: Errors) -> Verdict:
    """Return the verdict if all that was counted at an unknown time was counted in the window."""
    return _decide(window, added, criterion, appeared=True).verdict


def _doubts(window: Window) -> Iterator[str]:
    yield from counted_words.doubts(window.requests)


def _missing(decided: Decided, criterion: Errors) -> int:
    """Return how many more requests without an error would make it a pass."""
    few, many = 0, 1
    while not _passes(decided, many, criterion):
        few, many = many, many * 2
        if many > _MOST_MISSING:
            return many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if _passes(decided, middle, criterion) else (middle, many)
    # Errors may come closer together in fewer effective requests than these; a few more cost little.
    return math.ceil(many * 1.02)


def _passes(decided: Decided, more: int, criterion: Errors) -> bool:
    effect = decided.design_effect
    return (
        binomial.at_most(decided.over / effect, (decided.n + more) / effect, criterion.budget)
        <= criterion.alpha
    )


def _undecided(decided: Decided, counted: str, criterion: Errors) -> str:
    bursts = (
        f" (they come in bursts, so {decided.design_effect:.3g} requests count as one)"
        if decided.design_effect > 1.5
        else ""
    )
    return (
        f"{counted}{bursts}: the true ratio may be {decided.high:.3%}, and at most {criterion.budget:.3%} is allowed; "
        f"{_missing(decided, criterion)} more requests without an error would show it: {_how_to_get_more(criterion)}"
    )


def _how_to_get_more(criterion: Errors) -> str:
    if criterion.top_up is None:
        return "use a longer `errors.window`, or let `errors.top_up` send requests"
    return "use a longer `errors.window`, or raise `errors.top_up.requests`"


def _told(added: ToppedUp, said: Collector) -> None:
    said.note(f"{added.requests} requests of our own are included, {added.failed} of them failed")
    said.read(Reading("requests of our own", added.requests))
    if added.stopped:
        said.unknown(f"our own requests ended early: {added.stopped}")


def _good(found: Found, criterion: Errors) -> str:
    parts = []
    for source in found.sources:
        decided = _decide(source.windows[0], found.topped_up, criterion)
        parts.append(
            f"{source.name} {decided.over} of {decided.n} requests failed (at most {decided.high:.3%})"
        )
    return f"{'; '.join(parts)}; {criterion.budget:.3%} may"


def _figures(found: Found, criterion: Errors) -> list[Series]:
    figures = []
    for source in found.sources:
        whole = source.windows[0]
        if not whole.requests.series:
            continue
        errors: Counted = whole.errors
        if not errors.series:
            errors = replace(whole.requests, blocks=(0.0,) * len(whole.requests.blocks))
        elif len(errors.blocks) != len(whole.requests.blocks):
            continue
        line = counted_words.share(source.name, errors, whole.requests)
        start = counted_words.moment(whole.requests.start_s)
        figures.append(Series(f"error ratio of {source.name}", "%", (line,), 100 * criterion.budget, start))
    return figures
