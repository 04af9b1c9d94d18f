"""By how much one sample of times is shifted against another: Hodges and Lehmann's estimate with its bounds. Pure.

It needs no assumption about the distribution, and a few very slow answers do not move it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, median

from pytest_deploygate.lazy import dataclass

#: Whoever takes samples until the bounds are narrow looks at them after so many, so the bounds hold for each look.
LOOKS = (24, 48, 96)
#: All bounds of a comparison hold in all but one of a hundred.
ALPHA = 0.01 / len(LOOKS)


#: Of so many samples in a row the quickest counts: a wait for something else makes a time longer, never shorter.
_OF = 3


def quickest(samples: Sequence[float]) -> list[float]:
    """Return the quickest of each three samples in a row; the last ones are left out if they are fewer."""
    return [min(samples[n : n + _OF]) for n in range(0, len(samples) - _OF + 1, _OF)]


@dataclass(frozen=True)
class Shift:
    """How much larger the second sample is, and the bounds of that."""

    middle: float
    low: float
    high: float

    @property
    def least(self) -> float:
        """The smallest difference, in either direction, that the samples leave room for."""
        return max(0.0, self.low, -self.high)

    @property
    def width(self) -> float:
        """How far the bounds are apart."""
        return self.high - self.low

    @property
    def most(self) -> float:
        """The largest difference, in either direction, that the samples leave room for."""
        return max(abs(self.low), abs(self.high))


def shift(first: Sequence[float], second: Sequence[float], alpha: float = ALPHA) -> Shift | None:
    """Return the shift of the second sample against the first; None if they are too small for bounds.

    The bounds are those that Mann and Whitney's test does not refuse at `alpha`, by its normal approximation.
    """
    n, m = len(first), len(second)
    width = NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(n * m * (n + m + 1) / 12)
    rank = math.floor(n * m / 2 - width)
    if rank < 1:
        return None
    differences = sorted(b - a for a in first for b in second)
    return Shift(median(differences), differences[rank - 1], differences[-rank])
