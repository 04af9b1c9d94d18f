"""What became of a change on one inventory: when it went live, who decided, what broke, and when it was restored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from pytest_deploygate.decision.incidents import Event, Incident, State, Times, What, all_of
from pytest_deploygate.history import change
from pytest_deploygate.history.change import Deployment, IncidentFigures
from pytest_deploygate.history.runs import Run
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Outcome
from pytest_deploygate.moments import elapsed_s

_FINAL = (Outcome.GO, Outcome.ROLLBACK)


@dataclass(frozen=True)
class Happened:
    """What the journal has besides runs: the events of incidents, and when rollbacks were begun."""

    events: Sequence[Event] = ()
    rollbacks: Sequence[datetime] = ()


def deployment(runs: Sequence[Run], happened: Happened) -> Deployment:
    """Compute it from the runs on one inventory, in their order, and what happened meanwhile."""
    named = next((run.started for run in runs if run.asks_go_live), None)
    go = _first_go(runs, happened.events, named)
    began = named or min(_signs(runs, happened, go[1] if go else None), default=None)
    if began is None:
        return Deployment(change.State.NOT_LIVE)
    incidents = tuple(_incidents(happened.events, began))
    rolled_back = any(at >= began for at in happened.rollbacks)
    ended = min(_decisions(runs, happened.events, began), default=None)
    lead_s, no_lead = _lead(go)
    state = change.State.UNSETTLED
    if incidents or rolled_back:
        state = change.State.FAILED
    elif go:
        state = change.State.SUCCEEDED
    return Deployment(
        state=state,
        began=began,
        outcome=ended[1] if ended else "",
        decided_s=(ended[0] - began).total_seconds() if ended else None,
        ended_by=ended[2] if ended else "",
        lead_s=lead_s,
        no_lead=no_lead,
        incidents=incidents,
        rolled_back=rolled_back,
    )


def _signs(runs: Sequence[Run], happened: Happened, go: Run | None) -> Iterator[datetime]:
    """Yield when users were on the new system although no run asked for the go-live phase by name.

    A run that was decided GO; a run of named phases or items in which an incident opened, as one does where users are on
    the new system; and of a rollback, since nobody goes back who was not live, the run of its incident.
    """
    if go:
        yield go.started
    opened = [event.at.wall for event in happened.events if event.what is What.OPENED]
    for at in opened:
        if (run := _running(runs, at)) and run.named:
            yield run.started
    for back in happened.rollbacks:
        run = next((_running(runs, at) for at in reversed(opened) if at <= back), None)
        yield run.started if run else back


def _running(runs: Sequence[Run], at: datetime) -> Run | None:
    """Return the last run that had begun at a time."""
    return next((run for run in reversed(runs) if run.started <= at), None)


def _first_go(
    runs: Sequence[Run], events: Sequence[Event], began: datetime | None
) -> tuple[datetime, Run] | None:
    """Return the first GO of the go-live phase with the run that it is of: a run's own, or a person's after it.

    Where a run asked for the phase by name, only what comes after its begin counts.
    """
    found = [
        (at, number)
        for number, run in enumerate(runs)
        if run.covers_go_live
        for at, outcome in run.decisions
        if outcome is Outcome.GO and (began is None or at >= began)
    ]
    for event in events:
        if (
            began is None
            or event.what is not What.DECIDED
            or event.says != Outcome.GO
            or event.at.wall < began
        ):
            continue
        if run := _running(runs, event.at.wall):
            found.append((event.at.wall, runs.index(run)))
    if not found:
        return None
    at, number = min(found)
    return at, runs[number]


def _decisions(
    runs: Sequence[Run], events: Sequence[Event], began: datetime
) -> Iterator[tuple[datetime, str, str]]:
    """Yield what can end the go-live: time, GO or ROLLBACK, and who decided it."""
    for run in runs:
        for at, outcome in run.decisions:
            counts = run.covers_go_live if outcome is Outcome.GO else run.asks_go_live or run.covers_go_live
            if counts and outcome in _FINAL and at >= began:
                yield at, outcome.value, "gate"
    for event in events:
        if event.what is What.DECIDED and event.says in _FINAL and event.at.wall >= began:
            yield event.at.wall, event.says, event.by


def _lead(go: tuple[datetime, Run] | None) -> tuple[float | None, str]:
    if go is None:
        return None, "no GO of the go-live phase"
    at, run = go
    if run.committed is None:
        return None, run.no_commit
    lead_s = (at - run.committed).total_seconds()
    return (lead_s, "") if lead_s >= 0 else (None, "the commit is younger than the GO: a clock was wrong")


def _incidents(events: Sequence[Event], began: datetime) -> Iterator[IncidentFigures]:
    """Yield the incidents that opened after the go-live began."""
    for incident in all_of(events, Times()):
        if incident.opened.wall < began:
            continue
        decided = next((e for e in incident.events if e.what is What.DECIDED), None)
        restored = _restored(incident)
        yield IncidentFigures(
            incident.id,
            incident.opened.wall,
            elapsed_s(incident.opened, decided.at) if decided else None,
            elapsed_s(incident.opened, restored.at) if restored else None,
        )


def _restored(incident: Incident) -> Event | None:
    """Return what ended an incident for its users: the verified rollback, or the first GO since it opened last."""
    if incident.state in (State.AFTER, State.ROLLED_BACK):
        return next((e for e in reversed(incident.events) if e.what is What.ROLLED_BACK), None)
    if incident.state is not State.PASSED:
        return None
    opened = max(n for n, event in enumerate(incident.events) if event.what is What.OPENED)
    return next(
        (
            event
            for event in incident.events[opened:]
            if event.what in (What.OBSERVED, What.DECIDED) and event.says == Outcome.GO
        ),
        None,
    )
