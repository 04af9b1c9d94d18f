"""The base of all plots: an SVG as wide as its container, whose text keeps its size on a phone and on paper.

Horizontal positions are per cent of the width, vertical ones are pixels. Curves are in an inner SVG of 1000 units that is
stretched to the width, with strokes that are not stretched. Colours are classes of the style sheet; the attributes beside
them remain if a ticket system strips it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from markupsafe import Markup

from pytest_deploygate.report import words

#: The look of shapes if the style sheet is stripped.
_PLAIN = {
    "planned": "#c9cfd6",
    "measured": "#0a4fa3",
    "late": "#7d4a00",
    "gap": "#e3e6ea",
    "band": "#e6f2ea",
    "pass": "#1a6632",
    "fail": "#a8201a",
    "inconclusive": "#7d4a00",
    "unknown": "#4d5560",
    "track": "none",
}
_MOST_LETTERS = 40
#: Units of the stretched inner SVG from its left to its right edge.
WIDE = 1000


def picture(title: str, height: int, parts: Iterable[Markup]) -> Markup:
    """Return the whole picture; `title` says what it shows."""
    return Markup('<svg class="plot" role="img" width="100%" height="{}"><title>{}</title>{}</svg>').format(
        height, title, Markup().join(parts)
    )


def area(height: int, parts: Iterable[Markup]) -> Markup:
    """Return the stretched inside: x from 0 to `WIDE`, y in pixels from the top."""
    return Markup(
        '<svg width="100%" height="{h}" viewBox="0 0 {w} {h}" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(Markup().join(parts), h=height, w=WIDE)


def path(points: str, kind: str, *, colour: str = "currentColor") -> Markup:
    """Return a line that keeps its thickness however far the plot is stretched."""
    return Markup(
        '<path class="{}" d="{}" fill="none" stroke="{}" vector-effect="non-scaling-stroke"/>'
    ).format(kind, points, colour)


def text(x: float, y: float, said: str, *, anchor: str = "start", kind: str = "") -> Markup:
    """Return text at `x` per cent and `y` pixels, shortened to fit a phone. `anchor`: start, middle, end."""
    named = Markup(' class="{}"').format(kind) if kind else ""
    colour = "#fff" if kind == "inside" else "currentColor"
    return Markup('<text x="{}%" y="{}" font-size="12" text-anchor="{}" fill="{}"{}>{}</text>').format(
        short(x), short(y), anchor, colour, named, words.shortened(said, _MOST_LETTERS)
    )


def box(x: float, y: float, width: float, height: float, kind: str, *, colour: str = "") -> Markup:
    """Return a rectangle: `x` and `width` in per cent, `y` and `height` in pixels."""
    colour = colour or _PLAIN.get(kind.rpartition(" ")[2], "#4d5560")
    return Markup('<rect class="{}" x="{}%" y="{}" width="{}%" height="{}" fill="{}"/>').format(
        kind, short(x), short(y), short(width), short(height), colour
    )


def rule(y: float, kind: str = "grid") -> Markup:
    """Return a line from edge to edge."""
    return Markup(
        '<line class="{}" x1="0" x2="100%" y1="{y}" y2="{y}" stroke="currentColor" stroke-opacity="{}"/>'
    ).format(kind, "0.25" if kind == "grid" else "1", y=short(y))


def upright(x: float, top: float, bottom: float, kind: str) -> Markup:
    """Return a vertical line at `x` per cent."""
    return Markup(
        '<line class="{}" x1="{x}%" x2="{x}%" y1="{}" y2="{}" stroke="currentColor" stroke-opacity="0.6"/>'
    ).format(kind, short(top), short(bottom), x=short(x))


def short(number: float) -> str:
    """Format a position with as many digits as the eye can distinguish."""
    return f"{number:.2f}".rstrip("0").rstrip(".") if number else "0"


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Return round values between two bounds, at most about `most`; steps are 1, 2 or 5 times a power of ten."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= raw)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, first + most + 2) if n * step <= high * (1 + 1e-9)]


def quantity(value: float, unit: str) -> str:
    """Format a value with its unit: `431 ms`, `99.9%`."""
    said = words.number(float(f"{value:.4g}"))
    if not unit:
        return said
    return f"{said}%" if unit == "%" else f"{said} {unit}"


def clock(start: str, at_s: float, *, seconds: bool = True) -> str:
    """Format the time `at_s` seconds after an ISO time: `14:03:11`; without a start, the seconds."""
    try:
        when = datetime.fromisoformat(start) + timedelta(seconds=at_s)
    except (ValueError, OverflowError):
        return words.duration(at_s)
    return f"{when:%H:%M:%S}" if seconds else f"{when:%H:%M}"
