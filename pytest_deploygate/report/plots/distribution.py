"""The distribution of a quantity: value by percentile, on the scale of nines that is usual for latencies.

The curve must pass under the limit where the limit's percentile stands; the bar there is the range in which the true
quantile lies. After G. Tene's HdrHistogram plots: a linear scale would put everything that matters into one pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from markupsafe import Markup

from pytest_deploygate.model import Distribution
from pytest_deploygate.report.plots.canvas import (
    WIDE,
    area,
    box,
    path,
    picture,
    quantity,
    rule,
    short,
    text,
    ticks,
    upright,
)

_TOP, _BOTTOM, _HEIGHT = 22, 168, 190
_MOST_POINTS = 160
_MARKS = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
_EDGE = 0.96  # of the width, for the largest value: its share of all is 1, which has no place on this scale


def draw(figure: Distribution) -> Markup:
    """Return the picture; without points an empty one that says so."""
    points = _finite(figure)
    if not points:
        return picture(f"{figure.title}: no samples", 40, [text(0, 24, "no samples: nothing to draw")])
    scale = _Scale(points, figure)
    return picture(f"{figure.title}: {words(figure)}", _HEIGHT, _parts(figure, points, scale))


def words(figure: Distribution) -> str:
    """Describe the quantile, the range in which it lies, and the limit."""
    points = _finite(figure)
    if not points:
        return "no samples, so nothing is known"
    if figure.quantile is None:
        limit = f"; limit {quantity(figure.limit, figure.unit)}" if figure.limit is not None else ""
        return f"from {quantity(points[0][0], figure.unit)} to {quantity(points[-1][0], figure.unit)}{limit}"
    seen = at(figure, figure.quantile)
    said = f"{_name(figure.quantile)} is {quantity(seen, figure.unit) if seen is not None else 'not seen'}"
    said += _range(figure)
    if figure.limit is not None:
        said += f"; limit {quantity(figure.limit, figure.unit)}{_stands(figure)}"
    return f"{said}; highest {quantity(points[-1][0], figure.unit)}"


def at(figure: Distribution, share: float) -> float | None:
    """Return the smallest value that `share` of all lie at or below; None if the points do not reach it."""
    return next((value for value, below in _finite(figure) if below >= share - 1e-12), None)


def _range(figure: Distribution) -> str:
    if figure.low is not None and figure.high is not None:
        return f" (true value between {quantity(figure.low, figure.unit)} and {quantity(figure.high, figure.unit)})"
    if figure.low is not None:
        return f" (true value at least {quantity(figure.low, figure.unit)})"
    if figure.high is not None:
        return f" (true value at most {quantity(figure.high, figure.unit)})"
    return ", precision unknown"


def _stands(figure: Distribution) -> str:
    """Say where the range lies relative to the limit."""
    assert figure.limit is not None  # noqa: S101 (the caller asked)
    if figure.high is not None and figure.high <= figure.limit:
        return ", the whole range is under it"
    if figure.low is not None and figure.low > figure.limit:
        return ", the whole range is over it"
    if figure.low is not None or figure.high is not None:
        return ", which lies inside the range"
    return ""


def _name(share: float) -> str:
    return f"p{short_share(share)}"


def short_share(share: float) -> str:
    """Format a share like a percentile: `99.9`."""
    return f"{share * 100:.6g}"


def _finite(figure: Distribution) -> list[tuple[float, float]]:
    return [(v, s) for v, s in figure.points if math.isfinite(v) and 0 <= s <= 1]


class _Scale:
    """Positions of shares (per cent of the width) and values (pixels)."""

    def __init__(self, points: list[tuple[float, float]], figure: Distribution) -> None:
        # Of 4,000 values, 3,999 are the most that can lie below the largest.
        seen = 1 - 1 / figure.samples if figure.samples else 1.0
        last = max([min(s, seen) for _, s in points if s < 1] + [0.9, min(figure.quantile or 0, 1 - 1e-7)])
        self._nines = _nines(last) * 1.04
        self._last = last
        tops = [
            points[-1][0],
            *(v for v in (figure.limit, figure.high) if v is not None and math.isfinite(v)),
        ]
        self.low = min(0.0, points[0][0])
        self.high = (max(tops) - self.low) * 1.12 + self.low or 1.0

    def x(self, share: float) -> float:
        return 100.0 * _EDGE * min(_nines(share) / self._nines, 1.0) if share < 1 else 100.0

    def shows(self, share: float) -> bool:
        """Tell whether a share can be seen with so many values, and has a place of its own."""
        return share <= self._last and self.x(share) < 100 * _EDGE

    def y(self, value: float) -> float:
        inside = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return _BOTTOM - inside * (_BOTTOM - _TOP)


def _nines(share: float) -> float:
    return -math.log10(max(1 - share, 1e-9))


def _parts(figure: Distribution, points: list[tuple[float, float]], scale: _Scale) -> Iterator[Markup]:
    for value in ticks(scale.low, scale.high):
        yield rule(scale.y(value))
    kept = _thinned(points)
    curve = "L".join(f"{short(scale.x(s) * WIDE / 100)} {short(scale.y(v))}" for v, s in kept)
    if figure.limit is not None:
        yield rule(scale.y(figure.limit), "limit")
    if figure.quantile is not None:
        x = scale.x(figure.quantile)
        yield upright(x, _TOP, _BOTTOM, "mark")
        if figure.low is not None and figure.high is not None:
            top, bottom = scale.y(figure.high), scale.y(figure.low)
            yield box(max(x - 0.8, 0), top, 1.6, max(bottom - top, 2), "range")
    yield area(_BOTTOM, [path(f"M0 {short(scale.y(points[0][0]))}L{curve}", "curve")])
    yield from _labels(figure, scale)


def _labels(figure: Distribution, scale: _Scale) -> Iterator[Markup]:
    for value in filter(None, ticks(scale.low, scale.high)):  # a zero at the bottom would lie on the curve
        yield text(0, scale.y(value) - 3, quantity(value, figure.unit), kind="axis")
    if figure.limit is not None:
        said = f"limit {quantity(figure.limit, figure.unit)}"
        yield text(100, scale.y(figure.limit) - 4, said, anchor="end", kind="limit")
    shown = {share for share in _MARKS if scale.shows(share)} | (
        {figure.quantile} if figure.quantile is not None and figure.quantile < 1 else set()
    )
    last = -100.0
    for share in sorted(shown, key=lambda s: (s != figure.quantile, s)):
        x = scale.x(share)
        if share == figure.quantile:
            last = x
        elif abs(x - last) < 9:
            continue
        yield text(x, _HEIGHT - 6, _name(share), anchor="middle", kind="axis")
    yield text(100, _HEIGHT - 6, "max", anchor="end", kind="axis")


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep as many points as can be seen, evenly over the nines, including the last one."""
    if len(points) <= _MOST_POINTS:
        return points
    step = _nines(points[-2][1]) / (_MOST_POINTS - 2)
    kept, reached = [points[0]], 0.0
    for value, share in points[1:-1]:
        if _nines(share) >= reached + step:
            kept.append((value, share))
            reached = _nines(share)
    return [*kept, points[-1]]
