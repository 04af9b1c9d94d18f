"""When a resource is used up if it goes on as it was seen: at the earliest and at the latest.

Two courses are looked at. The whole window tells a steady trend. Its end tells growth that has just begun, which the whole
hides; unless the value came down by as much at least twice before: then it is one of its ups and downs (rotated logs,
compaction, garbage collection).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from pytest_deploygate.judging import trend
from pytest_deploygate.judging.trend import Trend
from pytest_deploygate.lazy import dataclass

#: Parts of the window, from its end, in which growth that has just begun is looked for.
_PARTS = (32, 16, 8, 4, 2)
#: So often it must have come down by as much before, to count as one of its ups and downs.
_KNOWN_FALLS = 2
_AS_MUCH = 0.8
#: Growth at the end is another one than that of the whole window if it is this much faster.
_FASTER = 1.5
_NEWEST = 3

Samples = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Outlook:
    """When it is used up, in seconds from now: at the earliest, most likely, at the latest; `inf` for never.

    `trend` is the growth that this follows from. `begun`: it is that of the end of the window. `returned`: the value came
    down by as much once, so whether it will again is unknown.
    """

    early_s: float
    likely_s: float
    late_s: float
    trend: Trend
    begun: bool = False
    returned: bool = False


def outlooks(samples: Samples, limit: float) -> list[Outlook]:
    """Return the outlook by the whole window and, where growth has just begun, that by its end; none for too few samples."""
    whole = trend.trend(samples)
    if whole is None:
        return []
    found = [_outlook(samples, limit, whole)]
    begun = _begun(samples)
    if begun is not None and begun.slope > _FASTER * max(whole.slope, 0.0):
        part = [sample for sample in samples if sample[0] >= samples[-1][0] - begun.span_s]
        rise = _level(part) - min(value for _, value in part)
        known = trend.falls(samples, _AS_MUCH * rise)
        if known < _KNOWN_FALLS:
            found.append(_outlook(part, limit, begun, begun=True, returned=known > 0))
    return found


def within_reach(samples: Samples, limit: float, horizon_s: float) -> bool:
    """Tell whether the limit can be reached within a horizon at all, by the fastest growth of any part of the window.

    Of thousands of series few can, and only those need an outlook.
    """
    if not samples:
        return False
    first, last = samples[0][0], samples[-1][0]
    left = limit - max(_level(samples), *(v for at, v in samples if at >= last - (last - first) / 3))
    for part in (1, *_PARTS):
        span_s = (last - first) / part
        values = [value for at, value in samples if at >= last - span_s]
        # Slopes are those of pairs that are at least half of the part apart.
        if left <= 2 * horizon_s * (max(values) - min(values)) / (span_s or 1.0):
            return True
    return False


def _outlook(
    samples: Samples, limit: float, growth: Trend, *, begun: bool = False, returned: bool = False
) -> Outlook:
    """At the earliest the highest of the last third touches the limit, at the latest the level of now does."""
    last = samples[-1][0]
    level = _level(samples)
    highest = max(value for at, value in samples if at >= last - growth.span_s / 3)
    return Outlook(
        _until(limit - max(level, highest), growth.high),
        _until(limit - level, growth.slope),
        _until(limit - level, growth.low),
        growth,
        begun,
        returned,
    )


def _level(samples: Samples) -> float:
    return statistics.median(value for _, value in samples[-_NEWEST:])


def _until(left: float, slope: float) -> float:
    if left <= 0:
        return 0.0
    return left / slope if slope > 0 else math.inf


def _begun(samples: Samples) -> Trend | None:
    """Return the growth of the longest end of the window that grows, as do all shorter ones; None if it does not grow now."""
    found = None
    for growth in _ends(samples):
        if growth is None:  # too few samples: a longer one may have enough
            continue
        if growth.low <= 0:
            break
        found = growth
    return found


def _ends(samples: Samples) -> Iterator[Trend | None]:
    first, last = samples[0][0], samples[-1][0]
    for part in _PARTS:
        since = last - (last - first) / part
        yield trend.trend([sample for sample in samples if sample[0] >= since])
