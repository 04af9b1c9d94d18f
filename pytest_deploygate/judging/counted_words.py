"""What makes counts unknown, in words, and counts over time as a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pytest_deploygate.judging.counters import Counted
from pytest_deploygate.model import Line, words_for, words_for_count

_SHOWN = 3


def unusable(found: Counted) -> str:
    """Return why nothing can be said about these counters; empty if something can."""
    window = words_for(found.end_s - found.start_s)
    if not found.series:
        return (
            f"Prometheus has no series {found.selector} in the last {window}, which does not mean that nothing was counted: "
            "check the name and the labels, and that its target is scraped"
        )
    if found.unread:
        return f"{found.selector}: {few(found.unread)}, which is no count"
    if found.stale:
        return (
            f"the newest sample of {found.selector} is {words_for(found.newest_age_s)} old, and they are "
            f"{words_for(found.interval_s)} apart: check that its target is up and scraped"
        )
    if found.covered_s < 2 * found.interval_s:
        return (
            f"{found.selector} has samples of only {words_for(found.covered_s)}: run this again in {window}"
        )
    return ""


def doubts(found: Counted) -> Iterator[str]:
    """Yield why more may have been counted than is known."""
    if found.silent:
        yield (
            f"{words_for_count(len(found.silent), 'series has', 'series have')} no samples any more, as their scrapes fail "
            f"({few(found.silent)}): what they count since is unknown"
        )
    for start, end in found.lost[:_SHOWN]:
        yield (
            f"a process was restarted between {clock(start)} and {clock(end)}, when {found.selector} was not scraped: what it "
            "counted before is unknown"
        )


def notes(found: Counted) -> Iterator[str]:
    """Yield what a reader should know of counts that are used."""
    if found.resets:
        yield (
            f"{found.selector}: {words_for_count(found.resets, 'restart', 'restarts')}; what was counted just before, since the last "
            "scrape, is not included"
        )
    if found.gone:
        yield f"{found.selector}: no longer scraped since some time in the window: {few(found.gone)}"
    if found.appeared:
        yield (
            f"{found.selector}: {found.appeared:.0f} counted at an unknown time before the first scrape of {few(found.new)}"
        )
    window_s = found.end_s - found.start_s
    if found.series and found.covered_s < 0.9 * window_s - 2 * found.interval_s:
        yield f"{found.selector} has samples of {words_for(found.covered_s)} of the window of {words_for(window_s)}"
    if found.gaps:
        longest = max(found.gaps, key=lambda gap: gap[1] - gap[0])
        yield (
            f"{found.selector} was not scraped from {clock(longest[0])} to {clock(longest[1])}: what was counted then is included, "
            "when exactly is unknown"
        )


def per_second(name: str, found: Counted) -> Line:
    """Return the rate over time as a line of a plot; a part of the window without samples is a gap."""
    size = (found.end_s - found.start_s) / len(found.blocks)
    return Line(
        name,
        tuple(
            ((n + 0.5) * size, count / size if _seen(found, n, size) else None)
            for n, count in enumerate(found.blocks)
        ),
    )


def share(name: str, part: Counted, of: Counted) -> Line:
    """Return the share over time, in per cent; without anything to have a share of it is a gap."""
    size = (of.end_s - of.start_s) / len(of.blocks)
    return Line(
        name,
        tuple(
            ((n + 0.5) * size, min(100.0, 100 * k / total) if total and _seen(of, n, size) else None)
            for n, (k, total) in enumerate(zip(part.blocks, of.blocks, strict=True))
        ),
    )


def moment(at_s: float) -> str:
    """Return seconds since 1970 as a time in ISO 8601."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")


def clock(at_s: float) -> str:
    """Return seconds since 1970 for people, in UTC."""
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S}"


def few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _seen(found: Counted, number: int, size_s: float) -> bool:
    """Tell whether a part of the window has samples: it is not before the first, after the last, or within a gap."""
    start, end = found.start_s + number * size_s, found.start_s + (number + 1) * size_s
    if end <= found.first_s or start >= found.end_s - found.newest_age_s:
        return False
    return not any(gap_start <= start and end <= gap_end for gap_start, gap_end in found.gaps)
