"""States over time: one bar per row, a piece for each state. Unobserved time stays empty."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from markupsafe import Markup

from pytest_deploygate.model import Spans
from pytest_deploygate.report import words as say
from pytest_deploygate.report.plots.canvas import box, clock, picture, text

_ROW, _BAR, _AXIS = 42, 18, 20
#: Minimum width of a bad piece, in per cent: about 3 pixels on a phone.
_SEEN = 0.9
#: States that are drawn first and last; the rest lies between.
_LAST = {"pass": 0, "fail": 2}
_LOOK = {
    "up": "pass",
    "down": "fail",
    "unknown": "unknown",
    "degraded": "inconclusive",
    "quiet": "pass",
    "firing": "fail",
}
_OTHER = ("attested", "waived", "not_covered", "not_applicable")
#: Rows that are drawn, and pieces of one row; more cannot be distinguished.
MOST_ROWS, MOST_PIECES = 12, 300


def draw(figure: Spans) -> Markup:
    """Return the picture."""
    rows = figure.rows[:MOST_ROWS]
    height = len(rows) * _ROW + _AXIS + 4
    return picture(f"{figure.title}: {'. '.join(words(figure))}", height, _parts(figure))


def words(figure: Spans) -> list[str]:
    """Describe each row in a sentence: how long each state lasted, and how long was unobserved."""
    said = [_row_words(name, pieces, figure) for name, pieces in figure.rows[:MOST_ROWS]]
    if (more := len(figure.rows) - MOST_ROWS) > 0:
        said.append(f"{say.count(more, 'more row')}: not drawn, all are in the evidence")
    return said or ["nothing was seen"]


def _row_words(name: str, pieces: tuple[tuple[float, float, str], ...], figure: Spans) -> str:
    lasted: defaultdict[str, float] = defaultdict(float)
    for start, end, state in pieces:
        lasted[state] += end - start
    parts = [f"{state} {say.duration(seconds)}" for state, seconds in lasted.items()]
    unseen = figure.until - sum(lasted.values())
    if unseen > figure.until * 1e-6:
        parts.append(f"not seen {say.duration(unseen)}")
    return f"{name}: {', '.join(parts)} of {say.duration(figure.until)}"


def _parts(figure: Spans) -> Iterator[Markup]:
    looks = _looks(figure)
    until = figure.until or 1.0
    for number, (name, pieces) in enumerate(figure.rows[:MOST_ROWS]):
        top = number * _ROW + 18
        yield text(0, top - 4, name, kind="name")
        yield box(0, top, 100, _BAR, "track")
        # Bad pieces come last and are never too thin to see: two minutes of a day can decide.
        for start, end, state in sorted(
            pieces[:MOST_PIECES], key=lambda piece: _LAST.get(looks[piece[2]], 1)
        ):
            least = 0.25 if looks[state] == "pass" else _SEEN
            width = max((end - start) / until * 100, least)
            x = min(max(0.0, (start + end) / 2 / until * 100 - width / 2), 100 - width)
            yield box(x, top, width, _BAR, f"span {looks[state]}")
            if width > max(12, 2.2 * len(state)):
                yield text(x + width / 2, top + 13, state, anchor="middle", kind="inside")
    y = len(figure.rows[:MOST_ROWS]) * _ROW + _AXIS - 2
    fine = until < 3 * 3600
    for x, at, anchor in ((0, 0.0, "start"), (50, until / 2, "middle"), (100, until, "end")):
        zone = " UTC" if anchor == "end" and figure.start else ""
        yield text(x, y, f"{clock(figure.start, at, seconds=fine)}{zone}", anchor=anchor, kind="axis")


def _looks(figure: Spans) -> dict[str, str]:
    states = list(dict.fromkeys(state for _, pieces in figure.rows for _, _, state in pieces))
    others = [state for state in states if state not in _LOOK]
    return _LOOK | {state: _OTHER[n % len(_OTHER)] for n, state in enumerate(others)}
