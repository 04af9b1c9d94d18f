"""What the page and the terminal say of a history, in words. Every text that comes from a record is masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from markupsafe import Markup

from pytest_deploygate.history import plots
from pytest_deploygate.history.change import Key, Part, State
from pytest_deploygate.history.dora import Dora, Median
from pytest_deploygate.history.figures import ItemTrend, Trend
from pytest_deploygate.history.folders import Note
from pytest_deploygate.history.reading import History
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Reading, Verdict, words_for
from pytest_deploygate.report import words as say
from pytest_deploygate.report.leaving import leaving

#: How a number of the last change lies to those before it.
MOVED = {1: "higher", -1: "lower", 0: "as before"}
#: Items and figures that stand out, at most so many of each kind.
STANDING_OUT = 8
_DURATION: Key = ("", "duration", "s")


@dataclass(frozen=True)
class Figure:
    """One of the figures of an inventory: its name in `dora.DEFINITIONS`, its value, and what it rests on."""

    key: str
    name: str
    value: str
    rests_on: str


@dataclass(frozen=True)
class Inventory:
    """The figures of one inventory, with their plots."""

    name: str
    figures: tuple[Figure, ...]
    pictures: tuple[tuple[str, Markup], ...]


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
    held: str
    numbers: tuple[Measured, ...]
    more: int


@dataclass(frozen=True)
class ChangeRow:
    """One change on one inventory in words."""

    change: str
    inventory: str
    state: State
    began: str
    decided: str
    lead: str
    incidents: str


def inventories(history: History) -> list[Inventory]:
    """Return the figures of every inventory."""
    return [_inventory(one, history.parts) for one in history.dora]


def _inventory(one: Dora, parts: Sequence[Part]) -> Inventory:
    mine = [part.deployment for part in parts if part.numbered and part.inventory == one.inventory]
    live = [each for each in mine if each.began]
    decided = [(each.began, each.decided_s) for each in live if each.began and each.decided_s is not None]
    leads = [(each.began, each.lead_s) for each in live if each.began and each.lead_s is not None]
    drawn = (
        ("Deployments", plots.deployments(live)),
        ("From go-live to decision", plots.bars("From go-live to decision", decided)),
        ("Lead time for changes", plots.bars("Lead time for changes", leads)),
    )
    return Inventory(leaving(one.inventory), tuple(figures(one)), tuple((name, p) for name, p in drawn if p))


def figures(one: Dora) -> Iterator[Figure]:
    """Yield DORA's four figures and the time to a decision, in words."""
    unsettled = f"; {say.count(one.not_settled, 'change')} not settled" if one.not_settled else ""
    span = f" from {one.first:%Y-%m-%d} to {one.last:%Y-%m-%d}" if one.first and one.last else ""
    yield Figure(
        "deployment_frequency",
        "Deployment frequency",
        _unknown(one.why_per_week) if one.per_week is None else f"{say.number(one.per_week)} per week",
        f"{say.count(one.deployments, 'deployment')}{span}, {say.count(one.changes, 'change')} in all{unsettled}",
    )
    yield Figure(
        "lead_time_for_changes",
        "Lead time for changes",
        _median(one.lead_time),
        _of(one.lead_time, "deployment"),
    )
    yield Figure(
        "change_failure_rate",
        "Change failure rate",
        _unknown(one.why_failure_rate) if one.failure_rate is None else f"{one.failure_rate:.1%}",
        f"{one.failed} of {say.count(one.deployments, 'deployment')}",
    )
    still = f"; {say.count(one.open_incidents, 'is', 'are')} not over" if one.open_incidents else ""
    yield Figure(
        "time_to_restore",
        "Time to restore",
        _median(one.restore),
        f"{say.count(one.restore.known, 'incident')} that {'is' if one.restore.known == 1 else 'are'} over{still}",
    )
    yield Figure(
        "go_live_to_decision", "Go-live to decision", _median(one.decision), _of(one.decision, "go-live")
    )


def _unknown(why: str) -> str:
    return f"unknown: {why}"


def _median(one: Median) -> str:
    return _unknown(one.why) if one.seconds is None else words_for(one.seconds)


def _of(one: Median, what: str) -> str:
    highest = f", highest {words_for(one.highest)}" if one.highest is not None else ""
    unknown = f"; unknown of {one.unknown}" if one.unknown else ""
    return f"median of {say.count(one.known, what)}{highest}{unknown}"


def change_rows(parts: Sequence[Part]) -> list[ChangeRow]:
    """Return every change that is one, the newest first."""
    return [_change(part) for part in reversed(parts) if part.numbered]


def _change(part: Part) -> ChangeRow:
    one = part.deployment
    restored = [i for i in one.incidents if i.restored_s is not None]
    incidents = say.count(len(one.incidents), "incident") if one.incidents else "none"
    if restored:
        incidents += f", restored after {words_for(max(i.restored_s or 0.0 for i in restored))}"
    if len(restored) < len(one.incidents):
        incidents += f", {len(one.incidents) - len(restored)} not over"
    if one.state is State.NOT_LIVE:
        incidents = "–"
    decided = "–" if one.began is None else "none yet"
    if one.decided_s is not None:
        decided = f"{one.outcome} after {words_for(one.decided_s)}, by {leaving(one.ended_by)}"
    return ChangeRow(
        change=leaving(part.change),
        inventory=leaving(part.inventory),
        state=one.state,
        began=f"{one.began:%Y-%m-%d %H:%M}" if one.began else "–",
        decided=decided,
        lead=words_for(one.lead_s)
        if one.lead_s is not None
        else (_unknown(one.no_lead) if one.no_lead else "–"),
        incidents=f"{incidents}, rolled back" if one.rolled_back else incidents,
    )


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
        steady=steady(one),
        held=f"{one.held:,} of {say.count(one.decided, 'decision')}",
        numbers=(_number(_DURATION, one.seconds), *shown) if numbers else (),
        more=len(readings) - len(shown),
    )


def steady(one: ItemTrend) -> str:
    """Say how often the verdict differed although nothing had changed."""
    if one.unsteady is None:
        return "unknown: no two runs of the same commit and inventory"
    return f"{one.differing:,} of {say.count(one.pairs, 'pair')} of runs"


def _moved(trend: Trend, before: str = "") -> str:
    return f"{before}{MOVED[trend.moved]}" if trend.moved else ""


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
        if len(trend.points) > 2 and (trend.moved or trend.grown)
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


def notes(history: History) -> list[tuple[str, Note]]:
    """Return each note with its line."""
    return [(leaving(f"{note.folder}: {note.kind.value}: {note.text}"), note) for note in history.notes]
