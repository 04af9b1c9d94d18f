"""A drill over time: acknowledged writes as bars, who took writes below them, and when clients could write and read again."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from pytest_deploygate.model import Takeover
from pytest_deploygate.report import words as say
from pytest_deploygate.report.plots.canvas import (
    WIDE,
    area,
    box,
    clock,
    picture,
    rule,
    short,
    text,
    upright,
)

#: The bars, from the top; above them are two rows of marks.
_TOP, _BOTTOM = 40, 140
_ROW, _BAR, _AXIS = 34, 12, 20
BUCKET_S = 0.1
#: Bars that are drawn; with more, neighbours are added up.
_MOST = 200
MOST_NODES = 8


def draw(figure: Takeover) -> Markup:
    """Return the picture; without any bucket an empty one that says so."""
    if not figure.per_100ms:
        return picture(f"{figure.title}: nothing was seen", 40, [text(0, 24, "nothing was seen")])
    height = _BOTTOM + 10 + len(figure.writable[:MOST_NODES]) * _ROW + _AXIS
    return picture(f"{figure.title}: {'. '.join(words(figure))}", height, _parts(figure, height))


def words(figure: Takeover) -> list[str]:
    """Say how long no write was acknowledged, when clients could write and read again, and who took writes when."""
    if not figure.per_100ms:
        return ["nothing was seen"]
    total = sum(figure.per_100ms)
    said = [
        f"{say.count(total, 'write')} acknowledged, at most {max(figure.per_100ms):,} in a tenth of a second"
    ]
    for what, at_s in (("write", figure.write_s), ("read", figure.read_s)):
        if at_s is None:
            said.append(f"clients did not {what} again while it was watched")
        else:
            said.append(
                f"clients could {what} again {say.duration(max(0.0, at_s - figure.fault_s))} after the fault"
            )
    if both := _both(figure):
        said.append(f"more than one node took writes for {say.duration(both)}")
    said += [_node_words(name, times, figure) for name, times in figure.writable[:MOST_NODES]]
    if (more := len(figure.writable) - MOST_NODES) > 0:
        said.append(f"{say.count(more, 'more node')}: not drawn, all are in the evidence")
    return said


def _both(figure: Takeover) -> float:
    """Return for how long more than one node took writes, in seconds."""
    edges = sorted(
        edge for _, times in figure.writable for begin, end in times for edge in ((begin, 1), (end, -1))
    )
    open_now, since, total = 0, 0.0, 0.0
    for at_s, change in edges:
        if open_now > 1:
            total += at_s - since
        open_now, since = open_now + change, at_s
    return round(total, 3)


def _node_words(name: str, times: tuple[tuple[float, float], ...], figure: Takeover) -> str:
    if not times:
        return f"{name} took no writes"
    parts = [
        f"from {_since(begin, figure)} to {'the end' if end >= _long(figure) else _since(end, figure)}"
        for begin, end in times
    ]
    return f"{name} took writes {', '.join(parts)}"


def _since(at_s: float, figure: Takeover) -> str:
    if at_s <= 0:
        return "the beginning"
    after = at_s - figure.fault_s
    if abs(after) < BUCKET_S / 2:
        return "the fault"
    return f"{say.duration(abs(after))} {'after' if after > 0 else 'before'} the fault"


def _long(figure: Takeover) -> float:
    """The end of the time axis, in seconds."""
    ends = [end for _, times in figure.writable for _, end in times]
    marks = [each for each in (figure.write_s, figure.read_s) if each is not None]
    return max([len(figure.per_100ms) * BUCKET_S, figure.fault_s, *ends, *marks]) or 1.0


def _parts(figure: Takeover, height: int) -> Iterator[Markup]:
    long = _long(figure)
    high = max(figure.per_100ms) * 1.1 or 1.0
    size = -(-len(figure.per_100ms) // _MOST)
    bars = [max(figure.per_100ms[n : n + size]) for n in range(0, len(figure.per_100ms), size)]

    def y(value: float) -> float:
        return _BOTTOM - value / high * (_BOTTOM - _TOP)

    for value in (0, max(figure.per_100ms)):
        yield rule(y(value))
    # One path for all bars: hundreds of rectangles would make the page large.
    width = size * BUCKET_S / long * WIDE
    outline = "".join(
        f"M{short(n * width)} {_BOTTOM}V{short(y(each))}h{short(width * 0.8)}V{_BOTTOM}z"
        for n, each in enumerate(bars)
        if each
    )
    if outline:
        yield area(_BOTTOM, [Markup('<path class="bars" d="{}" fill="#0a4fa3"/>').format(outline)])
    # Above the bars, on the side where the fault is not: on a bar nobody could read it.
    left = figure.fault_s / long > 0.4
    said = f"top line: {say.count(max(figure.per_100ms), 'write')} in 0.1 s"
    yield text(0 if left else 100, 14, said, anchor="start" if left else "end", kind="axis")
    yield from _marks(figure, long, height - _AXIS)
    yield from _nodes(figure, long)
    for x, at, anchor in ((0, 0.0, "start"), (100, long, "end")):
        zone = " UTC" if anchor == "end" and figure.start else ""
        yield text(x, height - 4, f"{clock(figure.start, at)}{zone}", anchor=anchor, kind="axis")


def _marks(figure: Takeover, long: float, bottom: float) -> Iterator[Markup]:
    """Draw the fault in the first row of marks, and the first write and read in the second, so that words never meet."""
    fault = figure.fault_s / long * 100
    yield upright(fault, 18, bottom, "incident")
    yield text(fault, 14, "fault", anchor=_anchor(fault), kind="limit")
    back: dict[str, float] = {}
    for what, at_s in (("write", figure.write_s), ("read", figure.read_s)):
        if at_s is not None:
            back[what] = min(100.0, at_s / long * 100)
    for x in back.values():
        yield upright(x, 36, bottom, "at")
    if len(back) == 2 and abs(back["write"] - back["read"]) < 45:
        # Close together: one text for both, where the later one is.
        first, second = sorted(back, key=lambda each: back[each])
        said = f"{first}, then {second}" if back[first] != back[second] else f"{first} and {second}"
        yield text(back[second], 32, f"{said} again", anchor=_anchor(back[second]), kind="axis")
        return
    for what, x in back.items():
        yield text(x, 32, f"{what} again", anchor=_anchor(x), kind="axis")


def _anchor(x: float) -> str:
    return "start" if x < 25 else "end" if x > 75 else "middle"


def _nodes(figure: Takeover, long: float) -> Iterator[Markup]:
    for number, (name, times) in enumerate(figure.writable[:MOST_NODES]):
        top = _BOTTOM + 26 + number * _ROW
        yield text(0, top - 4, f"{name} takes writes" if times else f"{name}: no writes", kind="name")
        yield box(0, top, 100, _BAR, "track")
        others = [each for other, some in figure.writable if other != name for each in some]
        twice = [
            (max(begin, one), min(end, other))
            for begin, end in times
            for one, other in others
            if max(begin, one) < min(end, other)
        ]
        # Two nodes that take writes come last and are never too thin to see: half a second can cost a day.
        for look, pieces in (("pass", times), ("fail", twice)):
            for begin, end in pieces:
                width = max((end - begin) / long * 100, 0.9)
                yield box(min(begin / long * 100, 100 - width), top, width, _BAR, f"span {look}")
