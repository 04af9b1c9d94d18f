"""How fast a quantity grows, as an interval, from samples whose errors are related.

Theil (1950) and Sen (1968): the median of the slopes between pairs of samples, which a step or a spike does not move. Only
pairs that are at least half of the window apart count, so that short ups and downs average out. The interval is that
of Kendall's S, for as many independent samples as the correlation of neighbouring residuals leaves: n (1 - r) / (1 + r).
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence

from pytest_deploygate.lazy import dataclass

#: Samples are merged into at most this many, by medians.
_MOST = 48
FEWEST = 8
_APART = 2
_SIGMAS = 1.96
#: Slopes of distant pairs are closer together than those of all pairs, for which Kendall's S is known. By simulation.
_CLOSER = 2.0
_MOST_RELATED = 0.99

Samples = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Trend:
    """Growth per second: the most likely one, and the bounds of about 95 %. `span_s` is how long it was seen."""

    slope: float
    low: float
    high: float
    span_s: float


def trend(samples: Samples) -> Trend | None:
    """Return the growth of (seconds, value) pairs in order of time; None for fewer than eight of them."""
    if len(samples) < FEWEST:
        return None
    merged = _merged(samples)
    slopes = sorted(_slopes(merged))
    slope = statistics.median(slopes)
    share = _width(_independent(merged, slope))
    low, high = (slopes[_rank(len(slopes), (1 + sign * share) / 2)] for sign in (-1, 1))
    return Trend(slope, low, high, samples[-1][0] - samples[0][0])


def _merged(samples: Samples) -> Samples:
    """Merge neighbours into at most `_MOST` samples, each at the median of its times and values."""
    size = math.ceil(len(samples) / _MOST)
    if size == 1:
        return samples
    parts = [samples[n : n + size] for n in range(0, len(samples), size)]
    return [
        (statistics.median(at for at, _ in part), statistics.median(value for _, value in part))
        for part in parts
    ]


def _slopes(samples: Samples) -> Iterator[float]:
    apart = (samples[-1][0] - samples[0][0]) / _APART
    for (start, before), (end, after) in itertools.combinations(samples, 2):
        if end - start >= apart:
            yield (after - before) / (end - start)


def _independent(samples: Samples, slope: float) -> float:
    """Return how many independent samples these are worth."""
    rest = [value - slope * at for at, value in samples]
    middle = statistics.fmean(rest)
    rest = [value - middle for value in rest]
    spread = sum(value * value for value in rest)
    if not spread:
        return float(len(rest))
    related = sum(a * b for a, b in itertools.pairwise(rest)) / spread
    # What is estimated from few samples is too low by about this (Marriott and Pope 1954).
    related += (1 + 3 * related) / len(rest)
    related = min(max(related, 0.0), _MOST_RELATED)
    return len(rest) * (1 - related) / (1 + related)


def _width(n: float) -> float:
    """Return which share of the slopes lies within the interval for n independent samples."""
    if n <= 2:
        return 1.0
    sigma = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return min(1.0, _CLOSER * _SIGMAS * sigma / (n * (n - 1) / 2))


def _rank(count: int, share: float) -> int:
    return min(count - 1, max(0, round(share * (count - 1))))


def falls(samples: Samples, least: float) -> int:
    """Return how often the value came down by at least `least` after it had risen, or from the beginning."""
    count, high, low = 0, -math.inf, math.inf
    falling = False
    for _, value in samples:
        if falling:
            low = min(low, value)
            if value - low >= least:
                falling, high = False, value
        else:
            high = max(high, value)
            if high - value >= least:
                count, falling, low = count + 1, True, value
    return count
