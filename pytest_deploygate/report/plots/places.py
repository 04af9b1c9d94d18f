"""Where along an order something lies: a line for each row, from its first to its last member, with bars where it lies."""

from __future__ import annotations

import math
from collections.abc import Iterator

from markupsafe import Markup

from pytest_deploygate.model import Places
from pytest_deploygate.report import words as say
from pytest_deploygate.report.plots.canvas import box, picture, rule, text

_ROW, _HIGH, _AXIS = 62, 34, 18
#: The least height of a bar: one among many must be seen.
_SEEN = 5.0
#: Rows that are drawn; more cannot be distinguished.
MOST_ROWS = 12


def draw(figure: Places) -> Markup:
    """Return the picture."""
    height = len(figure.rows[:MOST_ROWS]) * _ROW + _AXIS
    every = ". ".join(_row_words(figure, row) for row in figure.rows[:MOST_ROWS])
    return picture(f"{figure.title}: {every}", height, _parts(figure))


def words(figure: Places) -> list[str]:
    """Describe the picture."""
    if not figure.rows:
        return ["nothing was counted"]
    said = [f"from the first on the left to the last on the right; a bar is as high as it has {figure.unit}"]
    if (more := len(figure.rows) - MOST_ROWS) > 0:
        said.append(f"{say.count(more, 'more row')}: not drawn, all are in the evidence")
    return said


def _row_words(figure: Places, row: tuple[str, tuple[int, ...]]) -> str:
    name, counts = row
    width = 100 / len(counts)
    where = ", ".join(
        f"{n:,} from {at * width:.0f} to {(at + 1) * width:.0f}%" for at, n in enumerate(counts) if n
    )
    return f"{name}: {where or 'none'} ({figure.unit})"


def _parts(figure: Places) -> Iterator[Markup]:
    rows = figure.rows[:MOST_ROWS]
    for number, (name, counts) in enumerate(rows):
        top = number * _ROW + 18
        yield text(0, top - 4, name, kind="name")
        yield text(100, top - 4, f"{sum(counts):,} {figure.unit}", anchor="end", kind="axis")
        most, width = max(counts, default=0), 100 / max(len(counts), 1)
        for at, count in enumerate(counts):
            if count:
                high = max(_HIGH * math.sqrt(count / most), _SEEN)
                yield box(at * width, top + _HIGH - high, width, high, "span fail")
        yield rule(top + _HIGH + 1)
    y = len(rows) * _ROW + _AXIS - 4
    for at, anchor, said in ((0, "start", "first"), (50, "middle", "50%"), (100, "end", "last")):
        yield text(at, y, said, anchor=anchor, kind="axis")
