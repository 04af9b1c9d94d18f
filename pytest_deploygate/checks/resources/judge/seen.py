"""Whether what was seen of a resource is enough to judge it. What is absent, old, odd or without a limit is unknown."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

from pytest_deploygate.checks.resources.facts import Use, Used
from pytest_deploygate.checks.resources.judge.criterion import Criterion
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import words_for, words_for_bytes, words_for_count

_MOST_CLOCK_OFF_S = 30.0
_MOST_MISSING = 0.1
_LEAST_OF_WINDOW = 0.5
#: From here on, exporters mean "unlimited".
UNLIMITED = 2.0**60
_MOST_PLACES = 3
#: Beyond so many steps a limit is an old one.
_LIMIT_STEPS = 3


def current(found: Used, wanted: Criterion, said: Collector) -> list[Use]:
    """Tell what is unknown, and return the series that have values and a limit now."""
    _whole(found, said)
    unknown: defaultdict[str, list[str]] = defaultdict(list)
    here, usable = 0, []
    for use in found.uses:
        if use.age_s is None or use.age_s > wanted.oldest_sample_s:
            text = _ended(use, wanted)
            if wanted.may_end and use.age_s is None and not use.silent:
                said.note(f"{use.of} ended and was not judged")
            else:
                unknown[text].append(use.of)
            continue
        here += 1
        for text in _lacks(use, found, wanted):
            unknown[text].append(use.of)
        if limit_of(use) and any(point.used is not None for point in use.points):
            usable.append(use)
    for text, places in unknown.items():
        said.unknown(text, where=listed(places))
    if here < wanted.least_series and not unknown:
        said.unknown(
            f"{words_for_count(here, 'series is', 'series are')} there now, at least {wanted.least_series} must be:"
            " check what is scraped"
        )
    return usable


def listed(places: list[str]) -> str:
    """Return the first places, and how many more there are."""
    more = len(places) - _MOST_PLACES
    return ", ".join(places[:_MOST_PLACES]) + (f" and {more} more" if more > 0 else "")


def limit_of(use: Use) -> float:
    """Return the newest limit; 0 where there is none that can be compared with."""
    newest = next((point.limit for point in reversed(use.points) if point.limit is not None), 0.0)
    return newest if newest > 0 and not math.isnan(newest) else 0.0


def quantity(value: float, unit: str) -> str:
    """Return a value with its unit, in words for people."""
    if unit == "bytes":
        return words_for_bytes(value)
    return (f"{value:,.0f} {unit}" if abs(value) >= 1000 else f"{value:.4g} {unit}").rstrip()


def share(percent: float, limit: float, wanted: Criterion, verb: str = "is") -> str:
    """Return a share in words: of what it is, and how much that is."""
    if wanted.share:
        return f"{percent:.3g} % {wanted.share}"
    of = quantity(limit, wanted.unit) if limit < UNLIMITED else "what has no limit"
    return f"{percent:.3g} % of {of} {verb} used"


def clock(at: float) -> str:
    """Return the time of day, and the date where that is not clear."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _whole(found: Used, said: Collector) -> None:
    if abs(found.clock_off_s) > _MOST_CLOCK_OFF_S:
        where = "ahead of" if found.clock_off_s > 0 else "behind"
        said.unknown(
            f"Prometheus' clock is {words_for(abs(found.clock_off_s))} {where} ours, so how old samples are is unknown:"
            " synchronise both"
        )
    if found.lacking:
        said.unknown(
            f"there is no series of {found.series} for {listed(list(found.lacking))}: check its exporter, and that it is scraped"
        )
    for each in found.happened:
        if each.hides:
            said.unknown(each.what, where=each.of)


def _ended(use: Use, wanted: Criterion) -> str:
    if use.age_s is not None:
        return (
            f"its newest sample is {words_for(use.age_s)} old (limit {words_for(wanted.oldest_sample_s)}):"
            " check its exporter, and that it is scraped"
        )
    newest = next((point.at for point in reversed(use.points) if point.used is not None), None)
    since = f" since {clock(newest)}" if newest is not None else ""
    if use.silent:
        return f"has no samples{since}, and the scrapes of {use.silent} fail, so it may go on unseen: repair that target"
    return f"has no samples{since}: check its exporter; if it was removed, exclude it with `labels`, or say `replaced: true`"


def _lacks(use: Use, found: Used, wanted: Criterion) -> Iterator[str]:
    if use.odd:
        yield "has values that are no finite numbers (NaN, Inf): check its exporter"
    yield from _limits(use, found, wanted)
    seen = [point.at for point in use.points if point.used is not None]
    if not seen:
        if not use.odd:
            yield "has no value within the window beside a limit: check both series"
        return
    # What began within the first step was there before.
    span_s = found.now - seen[0]
    least_s = max(_LEAST_OF_WINDOW * wanted.window_s, 2 * (wanted.cycle_s or 0.0)) - 2 * found.step_s
    if span_s < least_s:
        yield (
            f"was seen for {words_for(max(0.0, span_s))} only, too short to judge {words_for(wanted.window_s)}:"
            f" run this again after {clock(found.now + least_s - span_s)}, or lower the window"
        )
    expected = sum(point.at >= seen[0] for point in use.points)
    if expected - len(seen) > max(1, _MOST_MISSING * expected):
        yield (
            f"has no samples for {(expected - len(seen)) / expected:.0%} of the time since {clock(seen[0])}: check its exporter,"
            " and that `resources.every` is its scrape interval"
        )


def _limits(use: Use, found: Used, wanted: Criterion) -> Iterator[str]:
    known = [point.limit for point in use.points if point.limit is not None]
    newest = max((point.at for point in use.points if point.limit is not None), default=0.0)
    used = max((point.at for point in use.points if point.used is not None), default=0.0)
    if known and used - newest > _LIMIT_STEPS * found.step_s:
        yield f"its limit has no samples since {clock(newest)}, and may be another one by now: check its exporter"
    if not known:
        yield "has no series of its limit, or several that could be: check that metric, or add `limit` or `by`"
    elif known[-1] <= 0 and not (wanted.brief and not wanted.bounded):
        yield "has the limit 0, which means none: give it a limit, or add `limit`"
    elif wanted.bounded and known[-1] >= UNLIMITED:
        yield "has no limit of its own, so it can take what others need: give it one, or add `limit`"
