"""Read the samples of the night; never sees a limit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from pytest_deploygate.checks.overnight.facts import Named, Night, Watched
from pytest_deploygate.checks.overnight.section import NightSeries, Overnight
from pytest_deploygate.clients import counting
from pytest_deploygate.clients import prometheus as client
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.judging import counted_words, counters
from pytest_deploygate.model import CannotTell, words_for

__all__ = ["night"]

_MOST_SAMPLES = 1_000_000
_MOST_SERIES = 50
#: A part of the night of which less was seen has no rate.
_SEEN = 0.5


def night(prometheus: Prometheus, overnight: Overnight) -> Night:
    """Return the samples of the last night. Raises CannotTell where Prometheus cannot be asked, or has too many."""
    start, end = window(overnight, client.now(prometheus))
    return Night(
        start.timestamp(),
        end.timestamp(),
        tuple(
            Named(
                each.name,
                (_rate if each.kind == "rate" else _values)(prometheus, each, overnight, start, end),
            )
            for each in overnight.series
        ),
    )


def window(overnight: Overnight, now: datetime) -> tuple[datetime, datetime]:
    """Return the last night that is over, or the last hours where no times are given."""
    if overnight.hours is None:
        return now - overnight.last, now
    zone = ZoneInfo(overnight.timezone)
    begins, ends = (time.fromisoformat(part) for part in overnight.hours.split("-"))
    here = now.astimezone(zone)
    end = datetime.combine(here.date(), ends, zone)
    if end > here:
        end = datetime.combine(here.date() - timedelta(days=1), ends, zone)
    start = datetime.combine(end.date() - timedelta(days=0 if begins < ends else 1), begins, zone)
    return start, end


def _values(
    prometheus: Prometheus, wanted: NightSeries, _overnight: Overnight, start: datetime, end: datetime
) -> tuple[Watched, ...]:
    span = end - start
    question = {
        "query": f"sum(count_over_time({wanted.selector}[{round(span.total_seconds())}s]))",
        "time": f"{end.timestamp():.3f}",
    }
    number = sum(client.number(entry["value"][1]) for entry in client.ask(prometheus, question, "vector"))
    if number > _MOST_SAMPLES:
        raise CannotTell(
            f"{wanted.selector} has {number:.0f} samples in {words_for(span)} (limit {_MOST_SAMPLES}): narrow it, or name a series "
            "that a recording rule makes of them"
        )
    found = client.raw(prometheus, wanted.selector, span, end)
    if len(found) > _MOST_SERIES:
        raise CannotTell(
            f"{wanted.selector} has {len(found)} series (limit {_MOST_SERIES}): narrow it, or name a series that a recording rule "
            "makes of them"
        )
    return tuple(_watched(series, start.timestamp(), end.timestamp()) for series in found)


def _watched(series: client.Series, start_s: float, end_s: float) -> Watched:
    samples = [(at.timestamp() - start_s, value) for at, value in series.samples]
    every_s = counters.interval([samples])
    points = tuple((at, value) for at, value in samples if math.isfinite(value))
    times = [0.0, *(at for at, _ in samples), end_s - start_s]
    return Watched(
        counters.words(series.labels),
        points,
        every_s,
        tuple((a, b) for a, b in itertools.pairwise(times) if b - a > counters.far(every_s)),
        tuple(at for at, value in samples if not math.isfinite(value)),
    )


def _rate(
    prometheus: Prometheus, wanted: NightSeries, overnight: Overnight, start: datetime, end: datetime
) -> tuple[Watched, ...]:
    span = end - start
    parts = max(1, round(span / overnight.rate_over))
    selector = wanted.selector
    found = counting.read(prometheus, [selector], [span], end, parts, spread=True)[selector, span]
    if not found.series:
        return ()
    size = span.total_seconds() / parts
    # Without a sample that can be read, the whole night is a gap.
    edges = [
        (0.0, min(found.first_s, found.end_s) - found.start_s),
        (max(0.0, span.total_seconds() - found.newest_age_s), span.total_seconds()),
    ]
    # One of several series is enough: when it counted what it did in a hole is unknown.
    gaps = _joined([(a - found.start_s, b - found.start_s) for a, b in found.holes])
    gaps += [(a, b) for a, b in edges if b - a > counters.far(found.interval_s)]
    doubts = [*counted_words.doubts(found), *found.unread]
    return (
        Watched(
            f"the sum of {found.series} series",
            tuple(_rates(found, gaps, size)),
            size,
            tuple(sorted(gaps)),
            resets=found.resets,
            doubts=tuple(doubts),
            series=found.series,
        ),
    )


def _rates(
    found: counters.Counted, gaps: list[tuple[float, float]], size: float
) -> Iterator[tuple[float, float]]:
    """Yield the rate of each part that no gap touches, of as much of it as was seen: the last scrape is before the end."""
    seen_from, seen_until = found.first_s - found.start_s, found.end_s - found.start_s - found.newest_age_s
    for number, count in enumerate(found.blocks):
        begin, end = number * size, (number + 1) * size
        seen = min(end, seen_until) - max(begin, seen_from)
        if seen >= _SEEN * size and not any(a < end and begin < b for a, b in gaps):
            yield begin + size / 2, count / seen


def _joined(times: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return times in order, those that overlap as one."""
    found: list[tuple[float, float]] = []
    for a, b in sorted(times):
        if found and a <= found[-1][1]:
            found[-1] = (found[-1][0], max(b, found[-1][1]))
        else:
            found.append((a, b))
    return found
