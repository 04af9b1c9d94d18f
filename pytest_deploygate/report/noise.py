"""How much a measurement varies when nothing changed: from earlier runs if there are enough, else a stated bound.

With `ENOUGH` earlier values or more, the band is three scaled median absolute deviations around their median (99.7 % of
normal noise lies inside), but at least `FLOOR` of the median, because a few values may agree by chance. With fewer values
the noise is unknown: the relative bound `BOUND` is used instead, and every sentence says so.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from pytest_deploygate.lazy import dataclass

ENOUGH = 4
BOUND = 0.2
FLOOR = 0.05
_SCALE = 1.4826  # median absolute deviation to standard deviation, for normal noise


@dataclass(frozen=True)
class Band:
    """The range in which a value has not moved, and where the range comes from."""

    low: float
    high: float
    source: str

    def holds(self, value: float) -> bool:
        """Return whether a value lies inside."""
        return self.low <= value <= self.high


def band(before: float, earlier: Sequence[float]) -> Band:
    """Return the band around the value `before`; `earlier` are all values before it, without itself."""
    known = [*earlier, before]
    if len(known) < ENOUGH:
        wide = abs(before) * BOUND
        few = f"{len(known)} earlier value" + ("s are" if len(known) != 1 else " is")
        return Band(
            before - wide, before + wide, f"stated bound of {BOUND:.0%}: {few} too few to know the noise"
        )
    middle = statistics.median(known)
    spread = statistics.median(abs(value - middle) for value in known)
    wide = max(3 * _SCALE * spread, FLOOR * abs(middle))
    return Band(middle - wide, middle + wide, f"noise of {len(known)} earlier values")
