"""What the page and the terminal say of items, in words. Every text that comes from a record is masked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from markupsafe import Markup

from pytest_deploygate.history import plots
from pytest_deploygate.history.change import Key
from pytest_deploygate.history.figures import ItemTrend, Trend
from pytest_deploygate.history.reading import History
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Reading, Verdict, words_for
from pytest_deploygate.report import words as say
from pytest_deploygate.report.leaving import leaving

#: How a number of the last change lies to those before it.
MOVED = {1: "higher", -1: "lower", 0: "as before"}
#: Items and figures that stand out, at most so many of each kind.
STANDING_OUT = 8
#: Of fewer changes nobody is told that a number moved.
FEWEST = 3
_DURATION: Key = ("", "duration", "s")


@dataclass(frozen=True)
class Measured:
    """One number that an item measures, or its duration."""

    name: str
    last: str
    range: str
    moved: str
    picture: Markup


@dataclass(frozen=True)
class ItemRow:
    """One item in words; `more` numbers are not shown."""

    item: str
    text: str
    inventory: str
    last: Verdict
    tally: str
    ran: str
    took: str
    steady: str
    differed: str
    held: str
    numbers: tuple[Measured, ...]
    more: int


def item_rows(history: History, numbers: int, most: int) -> tuple[list[ItemRow], int]:
    """Return the first items with so many numbers of each, and how many items are left out."""
    found = history.items
    return [_item(one, numbers) for one in found[:most]], max(0, len(found) - most)


def _item(one: ItemTrend, numbers: int) -> ItemRow:
    # What moved comes first.
    readings = sorted(one.readings.items(), key=lambda pair: (not pair[1].moved, pair[0]))
    shown = [_number(key, trend) for key, trend in islice(readings, numbers)]
    took = Reading("", one.seconds.median, "s")
    return ItemRow(
        item=leaving(one.item),
        text=leaving(one.text),
        inventory=leaving(one.inventory),
        last=one.last,
        tally=", ".join(f"{count:,} {say.verdict(v)}" for v in Verdict if (count := one.verdicts.get(v, 0))),
        ran=f"{say.count(one.runs, 'run')} in {say.count(one.changes, 'change')}",
        took=f"{say.measured(took)}{_moved(one.seconds, ', ')}",
        steady=f"verdict differed in {steady(one)}" if one.pairs else f"steadiness {steady(one)}",
        differed=f"{one.differing:,} of {say.count(one.pairs, 'pair')}" if one.pairs else "unknown",
        held=_held(one),
        numbers=(_number(_DURATION, one.seconds), *shown) if numbers else (),
        more=len(readings) - len(shown),
    )


def _held(one: ItemTrend) -> str:
    return f"{one.held:,} of {say.count(one.decided, 'decision')}" if one.decided else "no decision"


def steady(one: ItemTrend) -> str:
    """Say how often the verdict differed although nothing had changed."""
    if one.unsteady is None:
        return "unknown: no two runs of the same commit and inventory"
    return f"{one.differing:,} of {say.count(one.pairs, 'pair')} of runs"


def _moved(trend: Trend, before: str = "") -> str:
    return f"{before}{MOVED[trend.moved]}" if trend.moved and len(trend.points) >= FEWEST else ""


def _number(key: Key, trend: Trend) -> Measured:
    target, name, unit = key

    def said(value: float) -> str:
        return say.measured(Reading("", value, leaving(unit)))

    moved = "one change" if trend.moved is None else f"{MOVED[trend.moved]} ({trend.because})"
    if trend.grown and not trend.moved:
        moved = _grown(trend, said(abs(trend.grown)))
    full = leaving(f"{target}: {name}" if target else name)
    about = f"{full} in {say.count(len(trend.points), 'change')}: {said(trend.low)} to {said(trend.high)}, last {said(trend.last)}"
    return Measured(
        full,
        said(trend.last),
        f"{said(trend.low)} to {said(trend.high)}",
        moved,
        plots.line(trend.points, about),
    )


def _grown(trend: Trend, by: str) -> str:
    over = words_for(trend.points[-1][0] - trend.points[0][0])
    return f"{'rises' if trend.grown > 0 else 'falls'} by {by} over {over}"


def standing_out(history: History) -> list[tuple[str, list[str]]]:
    """Return what deserves a look: items that held most, that are unsteady, and numbers that moved."""
    found = history.items
    held = sorted((one for one in found if one.held), key=lambda one: -one.held)
    unsteady = sorted((one for one in found if one.differing), key=lambda one: -(one.unsteady or 0.0))
    numbers = [
        (one, trend, _number(key, trend))
        for one in found
        for key, trend in ((_DURATION, one.seconds), *one.readings.items())
        if len(trend.points) >= FEWEST and (trend.moved or trend.grown)
    ]
    moved = [
        f"{_named(one)}: {n.name} is {n.moved}, {n.last} (all: {n.range})" for one, t, n in numbers if t.moved
    ]
    grown = [
        f"{_named(one)}: {n.name} {n.moved}, last {n.last}"
        for one, t, n in numbers
        if t.grown and not t.moved
    ]
    kinds = (
        ("Held most decisions", [f"{_named(one)}: {one.held:,} of {one.decided:,}" for one in held]),
        (
            "Verdict differed at the same commit and inventory",
            [f"{_named(one)}: {steady(one)}" for one in unsteady],
        ),
        ("Moved in the last change", moved),
        ("Rises or falls over the changes", grown),
    )
    return [(name, _some(lines)) for name, lines in kinds]


def _named(one: ItemTrend) -> str:
    return f"{leaving(one.item)} on {leaving(one.inventory)}"


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - STANDING_OUT
    return [*lines[:STANDING_OUT], *([f"and {more:,} more"] if more > 0 else [])]
