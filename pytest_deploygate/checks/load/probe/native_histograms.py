"""Native histograms as Prometheus' API writes them: their buckets at each moment as counts at common bounds.

https://prometheus.io/docs/prometheus/latest/querying/api/#native-histograms
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class _Shape:
    """A histogram at one moment: all observations, and its buckets as (lower bound, upper bound, count)."""

    count: float
    buckets: tuple[tuple[float, float, float], ...]


def cumulative(shapes: Sequence[Mapping[str, Any]], per_second: float = 1.0) -> list[dict[float, float]]:
    """Return for each moment the observations at or below each bound, ascending, the last one infinite.

    Empty buckets are left out by the API, and later ones may be wider. Bounds are those that no bucket of any moment
    lies across, so that the counts are exact. `per_second` is how many units of the buckets a second has. Raises ValueError,
    TypeError or KeyError for what is no histogram.
    """
    read = [_read(shape, per_second) for shape in shapes]
    spans = {(low, high) for shape in read for low, high, n in shape.buckets if n}
    bounds = sorted({bound for span in spans for bound in span if bound > 0 and math.isfinite(bound)})
    known = [bound for bound in bounds if not any(low < bound < high for low, high in spans)]
    return [_at(known, shape) for shape in read]


def _at(bounds: Sequence[float], shape: _Shape) -> dict[float, float]:
    ordered = sorted((high, n) for _, high, n in shape.buckets)
    ends = [high for high, _ in ordered]
    sums = [0.0, *itertools.accumulate(n for _, n in ordered)]
    return {bound: sums[bisect_right(ends, bound)] for bound in bounds} | {math.inf: shape.count}


def _read(shape: Mapping[str, Any], per_second: float) -> _Shape:
    buckets = tuple(
        (float(low) / per_second, float(high) / per_second, _count(n))
        for _, low, high, n in shape.get("buckets") or ()
    )
    count = _count(shape["count"])
    if sum(n for *_, n in buckets) > count * (1 + 1e-9):
        raise ValueError(f"its buckets hold more than its {count:g} observations")
    return _Shape(count, buckets)


def _count(text: Any) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{text!r} is no count")
    return value
