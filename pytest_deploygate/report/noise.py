"""How much a measurement moves when nothing changed: from earlier runs where there are enough, else a stated bound.

With `ENOUGH` earlier values or more: three scaled median absolute deviations around their median (for normal noise
99.7 % lie inside), and never less than `FLOOR` of the median, because few values repeat by chance. With fewer there is
no way to know: a relative bound of `BOUND` stands in, and every sentence says so.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

ENOUGH = 4
BOUND = 0.2
FLOOR = 0.05
_SCALE = 1.4826  # median absolute deviation to standard deviation, for normal noise


@dataclass(frozen=True, slots=True)
class Band:
    """Where a value may lie without having moved, and in words where that is from."""

    low: float
    high: float
    source: str

    def holds(self, value: float) -> bool:
        """Tell whether a value lies inside."""
        return self.low <= value <= self.high


def band(before: float, earlier: Sequence[float]) -> Band:
    """Return the band around the value `before`; `earlier` are all values before it, itself not among them."""
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
