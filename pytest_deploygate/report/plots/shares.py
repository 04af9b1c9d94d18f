"""What became of the members of groups: one bar per group, a piece for each state, and a mark at the share that is required."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from pytest_deploygate.model import Shares
from pytest_deploygate.report import words as say
from pytest_deploygate.report.plots.canvas import box, picture, text, upright

_ROW, _BAR, _AXIS = 38, 14, 18
#: Minimum width of a piece that counts, in per cent: about 3 pixels on a phone.
_SEEN = 0.9
_LOOK = {
    "blocked": "pass", "passed": "fail", "unresolved": "unknown",
    "reached": "pass", "not reached": "fail", "unknown": "unknown",
}  # fmt: skip
_OTHER = ("attested", "waived", "inconclusive")
#: Rows that are drawn; more cannot be distinguished.
MOST_ROWS = 24

Row = tuple[str, tuple[tuple[str, int], ...], float | None]


def draw(figure: Shares) -> Markup:
    """Return the picture."""
    height = len(figure.rows[:MOST_ROWS]) * _ROW + _AXIS
    every = ". ".join(_row_words(row, figure.unit) for row in figure.rows[:MOST_ROWS])
    return picture(f"{figure.title}: {every}", height, _parts(figure))


def words(figure: Shares) -> list[str]:
    """Describe the picture: its states from left to right, then each group that is below its share. Its title has all groups."""
    if not figure.rows:
        return ["nothing was counted"]
    seen = [state for _, pieces, _ in figure.rows for state, number in pieces if number]
    states = [state for state, _ in figure.rows[0][1] if state in seen]
    low = [row for row in figure.rows[:MOST_ROWS] if _is_low(row)]
    required = any(least is not None for _, _, least in figure.rows)
    mark = "; the mark below a bar is the required share" if required else ""
    said = [f"Bars show {figure.unit}, from left to right: {', '.join(states)}{mark}"]
    if low:
        names = ", ".join(
            f"{name} ({pieces[0][1]:,} of {sum(number for _, number in pieces):,})" for name, pieces, _ in low
        )
        said.append(f"Below the required share: {names}")
    elif required:
        said.append(f"None of the {len(figure.rows)} groups is below its share")
    if (more := len(figure.rows) - MOST_ROWS) > 0:
        said.append(f"{say.count(more, 'more group')}: not drawn, all are in the evidence")
    return said


def _is_low(row: Row) -> bool:
    _, pieces, least = row
    return least is not None and bool(pieces) and pieces[0][1] < least * sum(n for _, n in pieces) - 1e-9


def _row_words(row: Row, unit: str) -> str:
    name, pieces, least = row
    total = sum(number for _, number in pieces)
    counts = ", ".join(f"{number:,} {state}" for state, number in pieces if number)
    required = "" if least is None else f" (at least {least:.0%} must be {pieces[0][0]})"
    return f"{name}: {counts or 'none'} of {total:,} {unit}{required}"


def _parts(figure: Shares) -> Iterator[Markup]:
    for number, (name, pieces, least) in enumerate(figure.rows[:MOST_ROWS]):
        top = number * _ROW + 18
        total = sum(count for _, count in pieces)
        first = pieces[0][1] if pieces else 0
        yield text(0, top - 4, name, kind="name")
        yield text(100, top - 4, f"{first:,} of {total:,}", anchor="end", kind="axis")
        yield box(0, top, 100, _BAR, "track")
        x = 0.0
        for (state, count), width in zip(pieces, _widths(pieces, total), strict=True):
            if count:
                yield box(x, top, width, _BAR, f"span {_look(state, pieces)}")
            x += width
        if least is not None and total:
            yield upright(100 * least, top + _BAR - 3, top + _BAR + 5, "at")
    y = len(figure.rows[:MOST_ROWS]) * _ROW + _AXIS - 4
    for at, anchor in ((0, "start"), (50, "middle"), (100, "end")):
        yield text(at, y, f"{at}%", anchor=anchor, kind="axis")


def _widths(pieces: tuple[tuple[str, int], ...], total: int) -> list[float]:
    """Return the widths in per cent: none that counts is too thin to see, and together they are 100."""
    raw = [max(100 * count / total, _SEEN) if count else 0.0 for _, count in pieces] if total else []
    whole = sum(raw)
    return [100 * width / whole for width in raw] if whole else [0.0 for _ in pieces]


def _look(state: str, pieces: tuple[tuple[str, int], ...]) -> str:
    others = [name for name, _ in pieces if name not in _LOOK]
    return _LOOK[state] if state in _LOOK else _OTHER[others.index(state) % len(_OTHER)]
