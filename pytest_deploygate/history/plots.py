"""Small plots of a history, with the report's own canvas: deployments over time, a figure of each change, a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from markupsafe import Markup

from pytest_deploygate.history.change import Deployment, State
from pytest_deploygate.history.figures import Points
from pytest_deploygate.report import words as say
from pytest_deploygate.report.plots.canvas import WIDE, area, box, path, picture, rule, short, text

_LOOK = {State.SUCCEEDED: "pass", State.FAILED: "fail", State.UNSETTLED: "unknown"}
#: Failed deployments are whole bars, others half, so that they differ without colour.
_TOP, _HALF, _BOTTOM, _HEIGHT = 2, 24, 46, 64
_BARS_TOP, _BARS_BOTTOM, _BARS_HEIGHT = 18, 78, 96
_LINE_HEIGHT, _LINE_MARGIN = 30, 3
_MOST = 200
#: A single bar is not as wide as the page.
_FEWEST_BARS = 12


def deployments(found: Sequence[Deployment]) -> Markup:
    """Draw each deployment where it began on the axis of time, by what became of it."""
    dated = [(one.began, one.state) for one in found if one.began]
    if not dated:
        return Markup("")
    first, last = min(at for at, _ in dated), max(at for at, _ in dated)
    long = (last - first).total_seconds() or 1.0
    counted = ", ".join(
        f"{sum(state is each for _, state in dated):,} {each.value}"
        for each in _LOOK
        if any(state is each for _, state in dated)
    )

    def parts() -> Iterator[Markup]:
        yield rule(_BOTTOM)
        for at, state in dated[-_MOST:]:
            x = (at - first).total_seconds() / long * 99.4
            top = _TOP if state is State.FAILED else _HALF
            yield box(x, top, 0.6, _BOTTOM - top, _LOOK[state])
        yield from _ends(first, last, _HEIGHT - 4)

    title = f"Deployments from {first:%Y-%m-%d} to {last:%Y-%m-%d}: {counted}; whole bars are failed ones"
    return picture(title, _HEIGHT, parts())


def bars(title: str, found: Sequence[tuple[datetime, float]]) -> Markup:
    """Draw a number of seconds for each change, in their order."""
    if not found:
        return Markup("")
    shown = found[-_MOST:]
    values = [value for _, value in shown]
    high = max(values) or 1.0
    wide = WIDE / max(len(shown), _FEWEST_BARS)

    def bar(number: int, value: float) -> str:
        y = _BARS_BOTTOM - value / high * (_BARS_BOTTOM - _BARS_TOP)
        left, right = number * wide + wide * 0.15, (number + 1) * wide - wide * 0.15
        return f"M{short(left)} {_BARS_BOTTOM}V{short(y)}H{short(right)}V{_BARS_BOTTOM}z"

    drawn = Markup('<path class="bars" d="{}" fill="#0a4fa3"/>').format(
        "".join(bar(n, value) for n, value in enumerate(values))
    )

    def parts() -> Iterator[Markup]:
        yield rule(_BARS_BOTTOM)
        yield area(_BARS_BOTTOM, [drawn])
        yield text(0, _BARS_TOP - 6, f"highest {say.duration(max(values))}", kind="axis")
        first, last = shown[0][0], shown[-1][0]
        if len(shown) < _FEWEST_BARS:  # they end before the right edge
            yield text(0, _BARS_HEIGHT - 4, f"{first:%Y-%m-%d} to {last:%Y-%m-%d}", kind="axis")
        else:
            yield from _ends(first, last, _BARS_HEIGHT - 4)

    said = (
        f"{title}: {say.count(len(shown), 'change')}, lowest {say.duration(min(values))}, "
        f"highest {say.duration(max(values))}, last {say.duration(values[-1])}"
    )
    return picture(said, _BARS_HEIGHT, parts())


def line(points: Points, said: str) -> Markup:
    """Draw a number over the changes as a small line; with fewer than two of them there is nothing to draw."""
    if len(points) < 2:
        return Markup("")
    values = [value for _, value in points[-_MOST:]]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    room = _LINE_HEIGHT - 2 * _LINE_MARGIN
    step = WIDE / (len(values) - 1)
    drawn = "L".join(
        f"{round(n * step)} {short(round(_LINE_HEIGHT - _LINE_MARGIN - (value - low) / span * room, 1))}"
        for n, value in enumerate(values)
    )
    return picture(said, _LINE_HEIGHT, [area(_LINE_HEIGHT, [path(f"M{drawn}", "curve")])])


def _ends(first: datetime, last: datetime, y: float) -> Iterator[Markup]:
    yield text(0, y, f"{first:%Y-%m-%d}", kind="axis")
    if last.date() != first.date():
        yield text(100, y, f"{last:%Y-%m-%d}", anchor="end", kind="axis")
