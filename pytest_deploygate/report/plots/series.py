"""A quantity over time. The line breaks where there is no data: what is unknown is not drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator

from markupsafe import Markup

from pytest_deploygate.model import Line, Series
from pytest_deploygate.report import words as say
from pytest_deploygate.report.plots.canvas import (
    WIDE,
    area,
    box,
    clock,
    path,
    picture,
    quantity,
    rule,
    short,
    text,
    ticks,
)

_TOP, _BOTTOM, _HEIGHT = 22, 148, 170
#: Lines that are drawn. Each has its own style, so that they can be distinguished without colours.
LOOKS = ("solid", "dashed", "dotted", "dash-dotted")
_MOST_STEPS = 250
Seen = list[tuple[float, float]]


def draw(figure: Series) -> Markup:
    """Return the picture; without any data an empty one that says so."""
    seen = [point for line in figure.lines for point in _seen(line)]
    if not seen:
        return picture(f"{figure.title}: nothing was seen", 40, [text(0, 24, "nothing was seen")])
    return picture(f"{figure.title}: {'. '.join(words(figure))}", _HEIGHT, _parts(figure, seen))


def words(figure: Series) -> list[str]:
    """Describe each line in a sentence: extremes with their time, samples over the limit, gaps."""
    said = [_line_words(line, figure, n) for n, line in enumerate(figure.lines[: len(LOOKS)])]
    if (more := len(figure.lines) - len(LOOKS)) > 0:
        said.append(f"{say.count(more, 'more line')}: not drawn, all are in the evidence")
    return said or ["nothing was seen"]


def gaps(line: Line) -> list[tuple[float, float]]:
    """Return the gaps of a line, in seconds since the start."""
    found: list[tuple[float, float]] = []
    last, open_at = (line.points[0][0] if line.points else 0.0), None
    for at, value in line.points:
        if _is_seen(value):
            if open_at is not None:
                found.append((open_at, at))
                open_at = None
            last = at
        elif open_at is None:
            open_at = last
    if open_at is not None:
        found.append((open_at, line.points[-1][0]))
    return found


def _line_words(line: Line, figure: Series, number: int) -> str:
    look = f" ({LOOKS[number]})" if len(figure.lines) > 1 else ""
    seen = _seen(line)
    if not seen:
        return f"{line.name}{look}: nothing was seen"
    high, low = max(seen, key=lambda p: p[1]), min(seen, key=lambda p: p[1])
    said = (
        f"{line.name}{look}: highest {quantity(high[1], figure.unit)} at {clock(figure.start, high[0])}, "
        f"lowest {quantity(low[1], figure.unit)}, last {quantity(seen[-1][1], figure.unit)}"
    )
    if figure.limit is not None:
        said += f"; limit {quantity(figure.limit, figure.unit)}, {_over(seen, figure.limit)}"
    if figure.least is not None:
        said += f"; at least {quantity(figure.least, figure.unit)}, {_under(seen, figure.least)}"
    if lost := gaps(line):
        lasted = say.duration(sum(end - start for start, end in lost))
        said += f"; nothing was seen for {lasted} ({say.count(len(lost), 'gap')})"
    return said


def _over(seen: Seen, limit: float) -> str:
    over = sum(1 for _, value in seen if value > limit)
    return f"{over} of {say.count(len(seen), 'sample')} above it" if over else "no sample above it"


def _under(seen: Seen, least: float) -> str:
    under = sum(1 for _, value in seen if value < least)
    return f"{under} of {say.count(len(seen), 'sample')} below it" if under else "no sample below it"


def _seen(line: Line) -> Seen:
    return [(at, value) for at, value in line.points if value is not None and math.isfinite(value)]


def _is_seen(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _parts(figure: Series, seen: Seen) -> Iterator[Markup]:
    times = [at for line in figure.lines for at, _ in line.points]
    first, last = min(times), max(times)
    long = (last - first) or 1.0
    bounds = [bound for bound in (figure.limit, figure.least) if bound is not None]
    low = min([0.0, *bounds, *(value for _, value in seen)])
    high = max([value for _, value in seen] + bounds) * 1.12 or 1.0
    high = high if high > low else low + 1.0

    def y(value: float) -> float:
        return _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP)

    if figure.least is not None:
        top = _TOP if figure.limit is None else y(figure.limit)
        yield box(0, top, 100, max(y(figure.least) - top, 0), "band")
    for value in ticks(low, high):
        yield rule(y(value))
    if len(figure.lines) == 1:
        for start, end in gaps(figure.lines[0]):
            yield box((start - first) / long * 100, _TOP, (end - start) / long * 100, _BOTTOM - _TOP, "gap")
    for bound in bounds:
        yield rule(y(bound), "limit")
    curves = []
    for line, look in zip(figure.lines, LOOKS, strict=False):
        pieces = [
            "M" + "L".join(f"{short((at - first) / long * WIDE)} {short(y(value))}" for at, value in piece)
            for piece in _pieces(line)
        ]
        curves.append(path("".join(f"{p}h0" for p in pieces), f"curve {look}"))
    yield area(_BOTTOM, curves)
    for value in filter(None, ticks(low, high)):  # a zero at the bottom would lie on the curve
        yield text(0, y(value) - 3, quantity(value, figure.unit), kind="axis")
    if figure.limit is not None:
        yield text(
            100,
            y(figure.limit) - 4,
            f"limit {quantity(figure.limit, figure.unit)}",
            anchor="end",
            kind="limit",
        )
    if figure.least is not None:
        # Under its line, so that it never meets the words of a limit close above.
        yield text(
            100,
            min(y(figure.least) + 14, _BOTTOM - 2),
            f"at least {quantity(figure.least, figure.unit)}",
            anchor="end",
            kind="limit",
        )
    yield from _time_axis(figure.start, first, last, _HEIGHT - 6)


def _time_axis(start: str, first: float, last: float, y: float) -> Iterator[Markup]:
    fine = last - first < 3 * 3600
    for x, at, anchor in ((0, first, "start"), (50, (first + last) / 2, "middle"), (100, last, "end")):
        zone = " UTC" if anchor == "end" and start else ""
        yield text(x, y, f"{clock(start, at, seconds=fine)}{zone}", anchor=anchor, kind="axis")


def _pieces(line: Line) -> Iterator[Seen]:
    """Split a line at its gaps, and thin each piece so that its highest and lowest points remain."""
    piece: Seen = []
    for at, value in line.points:
        if value is not None and math.isfinite(value):
            piece.append((at, value))
        elif piece:
            yield _thinned(piece, len(line.points))
            piece = []
    if piece:
        yield _thinned(piece, len(line.points))


def _thinned(piece: Seen, total: int) -> Seen:
    size = math.ceil(total / _MOST_STEPS)
    if size <= 2:
        return piece
    kept: Seen = []
    for n in range(0, len(piece), size):
        some = piece[n : n + size]
        ends = {some[0], max(some, key=lambda p: p[1]), min(some, key=lambda p: p[1]), some[-1]}
        kept.extend(sorted(ends))
    return kept
