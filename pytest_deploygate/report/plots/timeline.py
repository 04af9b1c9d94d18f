"""The change on a time axis: each phase as planned and as measured, with decisions and incidents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.report import words as say
from pytest_deploygate.report.plots.canvas import box, picture, short, text, upright
from pytest_deploygate.report.plots.timescale import Interval, TimeScale, scale

_ROW, _BAR, _TOP = 38, 9, 4
_MOST_RUNS, _MOST_MARKS = 60, 60
_LETTERS = 16  # of a name: half of a phone's width
#: Marks that are named first if there is no room for all names.
_WEIGHT = ("rollback", "hold", "incident", "go")


@dataclass(frozen=True)
class Row:
    """A phase: its planned time (None if not given) and when its items were measured, run by run."""

    name: str
    planned: Interval | None
    measured: tuple[Interval, ...]


@dataclass(frozen=True)
class Mark:
    """An event. `label` is a word or two; `look` is `go`, `hold`, `rollback` or `incident`."""

    at: datetime
    label: str
    look: str


def draw(rows: Sequence[Row], marks: Sequence[Mark]) -> Markup:
    """Return the picture; empty without any time."""
    shown = [row for row in rows if row.planned or row.measured]
    times = [*(row.planned for row in shown if row.planned)]
    times += [one for row in shown for one in row.measured]
    times += [(mark.at, mark.at) for mark in marks]
    if not times:
        return Markup("")
    height = _TOP + len(shown) * _ROW + (_ROW + 8 if marks else 0) + 40
    return picture(
        words(shown, marks), height, _parts(shown, list(marks)[:_MOST_MARKS], scale(times), height)
    )


def words(rows: Sequence[Row], marks: Sequence[Mark]) -> str:
    """Describe the picture in one line; the table beside it has the times."""
    planned = say.count(sum(1 for row in rows if row.planned), "phase")
    measured = say.count(sum(1 for row in rows if row.measured), "phase")
    happened = say.count(len(marks), "decision or incident", "decisions and incidents")
    return f"Timeline: {planned} with a plan, {measured} measured, {happened}"


def _parts(rows: Sequence[Row], marks: Sequence[Mark], time: TimeScale, height: int) -> Iterator[Markup]:
    bottom = height - 38
    for x in time.breaks:
        yield upright(x - 0.5, _TOP, bottom, "break")
        yield upright(x + 0.5, _TOP, bottom, "break")
    for number, row in enumerate(rows):
        yield from _row(row, _TOP + number * _ROW, time)
    if marks:
        yield from _marks(marks, _TOP + len(rows) * _ROW, bottom, time)
    yield from _axis(time, height)


def _row(row: Row, top: float, time: TimeScale) -> Iterator[Markup]:
    places = [*([row.planned] if row.planned else []), *row.measured]
    x = time.x(min(start for start, _ in places))
    right = x > 50
    yield text(
        time.x(max(end for _, end in places)) if right else x, top + 12, say.shortened(row.name, _LETTERS),
        anchor="end" if right else "start", kind="name",
    )  # fmt: skip
    if row.planned:
        yield _interval(row.planned, top + 16, time, "planned")
    for one in row.measured[-_MOST_RUNS:]:
        late = row.planned is not None and (one[1] > row.planned[1] or one[0] < row.planned[0])
        yield _interval(one, top + 16 + _BAR, time, "measured late" if late else "measured")


def _interval(one: Interval, y: float, time: TimeScale, kind: str) -> Markup:
    start, end = time.x(one[0]), time.x(one[1])
    return box(start, y, max(end - start, 0.6), _BAR - 2, kind)


def _marks(marks: Sequence[Mark], top: float, bottom: float, time: TimeScale) -> Iterator[Markup]:
    """Draw a line through all phases for each mark, and label it below unless a more important one is there."""
    taken: list[tuple[int, float, float]] = []
    for mark in sorted(marks, key=lambda m: (_WEIGHT.index(m.look), m.at)):
        x = time.x(mark.at)
        yield upright(x, _TOP, bottom - 20, f"at {mark.look}")
        yield _dot(x, top + 6, mark.look)
        anchor = "end" if x > 75 else "start" if x < 25 else "middle"
        label = say.shortened(mark.label, _LETTERS)
        wide = 1.3 * len(label) + 3
        left = x - {"end": wide, "middle": wide / 2, "start": 0.0}[anchor]
        # Two lines of labels; if both are taken, only the list beside the picture names the mark.
        free = (n for n in (0, 1) if all(n != m or left + wide <= a or left >= b for m, a, b in taken))
        if (line := next(free, None)) is not None:
            taken.append((line, left, left + wide))
            yield text(x, top + 26 + 14 * line, label, anchor=anchor, kind=f"label {mark.look}")


def _dot(x: float, y: float, look: str) -> Markup:
    return Markup('<circle class="dot {}" cx="{}%" cy="{}" r="5" fill="currentColor"/>').format(
        look, short(x), short(y)
    )


def _axis(time: TimeScale, height: int) -> Iterator[Markup]:
    """Label the start and end of each busy piece; dates below, where the day changes."""
    day = None
    for one in time.stretches:
        wide = one.width > 22
        yield text(one.x, height - 22, f"{_utc(one.start, 4):%H:%M}", kind="axis")
        if wide:
            yield text(
                one.x + one.width, height - 22, f"{_utc(one.end, -4):%H:%M}", anchor="end", kind="axis"
            )
        if _utc(one.start, 4).date() != day and one.width > 12:
            day = _utc(one.start, 4).date()
            yield text(one.x, height - 7, f"{day:%a %d %b}" + (" UTC" if wide else ""), kind="axis")


def _utc(when: datetime, minutes: int) -> datetime:
    """Return a stretch's edge without its margin."""
    return when.astimezone(UTC) + timedelta(minutes=minutes)
