"""What the page and the terminal say of inventories, changes and folders, in words. Every text that comes from a record is masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from pytest_deploygate.history import plots
from pytest_deploygate.history.change import Part, State
from pytest_deploygate.history.dora import Dora, Median
from pytest_deploygate.history.folders import Note
from pytest_deploygate.history.reading import History
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import words_for
from pytest_deploygate.report import words as say
from pytest_deploygate.report.leaving import leaving


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


def notes(history: History) -> list[tuple[str, Note]]:
    """Return each note with its line."""
    return [(leaving(f"{note.folder}: {note.kind.value}: {note.text}"), note) for note in history.notes]
