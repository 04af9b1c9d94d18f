"""A time axis with idle hours cut short: otherwise the days of a change would leave no room for its minutes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pytest_deploygate.lazy import dataclass

Interval = tuple[datetime, datetime]
#: Idle time longer than this is reduced to a notch, which the axis shows as a break.
IDLE = timedelta(hours=2)
_NOTCH = 4.0
_PAD = timedelta(minutes=4)
_LEAST = 6.0


@dataclass(frozen=True)
class Stretch:
    """A busy piece of time and its position, in per cent of the width."""

    start: datetime
    end: datetime
    x: float
    width: float


@dataclass(frozen=True)
class TimeScale:
    """The busy pieces of time, side by side with notches between them."""

    stretches: tuple[Stretch, ...]

    def x(self, when: datetime) -> float:
        """Return the position of a time; for an idle time the nearest edge."""
        last = 0.0
        for one in self.stretches:
            if when < one.start:
                return max(last, one.x)
            last = one.x + one.width
            if when <= one.end:
                share = (when - one.start) / (one.end - one.start)
                return one.x + share * one.width
        return last

    @property
    def breaks(self) -> list[float]:
        """The positions where idle time was cut out."""
        return [one.x - _NOTCH / 2 for one in self.stretches[1:]]


def scale(times: Iterable[Interval]) -> TimeScale:
    """Lay out the intervals and moments to show."""
    busy = _busy(sorted((start - _PAD, end + _PAD) for start, end in times))
    room = 100.0 - _NOTCH * max(len(busy) - 1, 0)
    lengths = [(end - start).total_seconds() for start, end in busy]
    # A minute beside a day gets its own little width.
    shares = [max(length / (sum(lengths) or 1.0), _LEAST / 100) for length in lengths]
    widths = [room * share / sum(shares) for share in shares]
    found, x = [], 0.0
    for (start, end), width in zip(busy, widths, strict=True):
        found.append(Stretch(start, end, x, width))
        x += width + _NOTCH
    return TimeScale(tuple(found))


def _busy(times: list[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in times:
        if merged and start - merged[-1][1] < IDLE:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
