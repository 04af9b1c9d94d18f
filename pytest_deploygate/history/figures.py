"""What history says of each item over all changes: how long it takes, what it measures, how steady it is, what it held."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from pytest_deploygate.history.change import ItemFigures, Key, Part, Values
from pytest_deploygate.judging.trend import Trend as Growth
from pytest_deploygate.judging.trend import trend
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Verdict
from pytest_deploygate.report import noise

#: So much longer an item must take to count as slower: less is nobody's concern.
LEAST_S = 0.1
#: A number in each change: when its runs began, and the median of what they measured.
Points = tuple[tuple[datetime, float], ...]


@dataclass(frozen=True)
class Trend:
    """One number over the changes, oldest first.

    `median` is that of the changes' medians. `moved` says whether the last change lies above (1) or below (-1) the noise of
    those before it, 0 if within; None with fewer than two changes. `because` says where the noise is from. `slope` is the
    growth per second with its bounds of about 95 %; None with fewer than eight changes, or if it never varied.
    """

    points: Points
    count: int
    median: float
    low: float
    high: float
    last: float
    moved: int | None
    because: str
    slope: Growth | None = None

    @property
    def grown(self) -> float:
        """How much it rose (or fell, if negative) over all changes; 0.0 where that is not sure, or less than its noise."""
        if self.slope is None or self.slope.low <= 0.0 <= self.slope.high:
            return 0.0
        grown = self.slope.slope * self.slope.span_s
        return grown if abs(grown) >= noise.FLOOR * abs(self.median) else 0.0


@dataclass(frozen=True)
class ItemTrend:
    """One item on one inventory over all changes. `unsteady` is None if no two runs can be compared."""

    inventory: str
    item: str
    text: str
    phase: str
    changes: int
    runs: int
    verdicts: Mapping[Verdict, int]
    last: Verdict
    seconds: Trend
    pairs: int
    differing: int
    decided: int
    held: int
    readings: Mapping[Key, Trend]

    @property
    def unsteady(self) -> float | None:
        """The share of comparable pairs of runs in which the verdict differs."""
        return self.differing / self.pairs if self.pairs else None


def trends(parts: Sequence[Part]) -> list[ItemTrend]:
    """Return every item that any run measured, by inventory, those that held most decisions first."""
    found: defaultdict[tuple[str, str], list[tuple[datetime, ItemFigures]]] = defaultdict(list)
    for part in parts:
        for item, figures in part.items.items():
            found[part.inventory, item].append((part.first, figures))
    all_of_them = [_trend(inventory, item, mine) for (inventory, item), mine in found.items()]
    return sorted(all_of_them, key=lambda t: (t.inventory, -t.held, -t.differing, t.item))


def _trend(inventory: str, item: str, mine: Sequence[tuple[datetime, ItemFigures]]) -> ItemTrend:
    numbers: defaultdict[Key, list[tuple[datetime, Values]]] = defaultdict(list)
    verdicts: Counter[Verdict] = Counter()
    for at, one in mine:
        verdicts.update(one.verdicts)
        for key, values in one.readings.items():
            numbers[key].append((at, values))
    newest = mine[-1][1]
    return ItemTrend(
        inventory=inventory,
        item=item,
        text=newest.text,
        phase=newest.phase,
        changes=len(mine),
        runs=sum(verdicts.values()),
        verdicts=verdicts,
        last=newest.last,
        seconds=over([(at, one.seconds) for at, one in mine], LEAST_S),
        pairs=sum(one.pairs for _, one in mine),
        differing=sum(one.changes for _, one in mine),
        decided=sum(one.decided for _, one in mine),
        held=sum(one.held for _, one in mine),
        readings={key: over(values) for key, values in numbers.items()},
    )


def over(values: Sequence[tuple[datetime, Values]], least: float = 0.0) -> Trend:
    """Return the trend of a number from its figures in each change, oldest first.

    What lies outside the noise by at most `least` has not moved, and what changed by less has not grown.
    """
    medians = [one.median for _, one in values]
    moved, because = None, "one change is no trend"
    if len(medians) > 1:
        band = noise.band(medians[-2], medians[:-2])
        above, below = medians[-1] - band.high, band.low - medians[-1]
        moved = 0 if max(above, below) <= least else 1 if above > 0 else -1
        few = len(medians) <= noise.ENOUGH
        because = f"bound of {noise.BOUND:.0%}: the noise is not known yet" if few else band.source
    points = tuple((at, one.median) for at, one in values)
    varies = max(medians) - min(medians) > least
    return Trend(
        points=points,
        count=sum(one.count for _, one in values),
        median=statistics.median(medians),
        low=min(one.low for _, one in values),
        high=max(one.high for _, one in values),
        last=values[-1][1].last,
        moved=moved,
        because=because,
        slope=trend([(at.timestamp(), value) for at, value in points]) if varies else None,
    )
