"""Where a change stands now: its newest incident with what its deadlines ask for, and what going back would cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_deploygate.decision import incident_log, incidents, standing
from pytest_deploygate.decision.incidents import Ask, Event, Incident, Times, What
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.inventory.rollback import Rollback
from pytest_deploygate.journal import Entry, JournalError, Segment, Writer, segments
from pytest_deploygate.model import Decision, Outcome
from pytest_deploygate.moments import Moment
from pytest_deploygate.probes import loss as probe_loss
from pytest_deploygate.probes.loss import Lost
from pytest_deploygate.probes.postgres import Cluster
from pytest_deploygate.rollback import cutover as declared_cutover
from pytest_deploygate.rollback import progress
from pytest_deploygate.rollback.aftermath import After


@dataclass(frozen=True, slots=True)
class Now:
    """A change as it stands. `incident` is the newest one, over or not; `decision` that of the last run."""

    change: str
    inventory: str
    times: Times
    incident: Incident | None
    decision: Decision | None
    phases: tuple[str, ...]
    rollback_from: str

    @property
    def recommended(self) -> Outcome:
        """What the last run's rules recommend; HOLD where none ended: unknown never allows a rollback."""
        return self.decision.outcome if self.decision else Outcome.HOLD


def now(entries: Sequence[Entry]) -> Now:
    """Read a journal. Raises JournalError when it holds no run."""
    about = standing.frame(_last_run(entries).begin)
    decided = [segment.decision for segment in segments(entries) if segment.decision]
    known = incidents.all_of(incident_log.events(entries), about.times)
    return Now(
        about.change,
        about.inventory,
        about.times,
        known[-1] if known else None,
        decided[-1] if decided else None,
        tuple(phase.id for phase in about.phases),
        about.rollback_from,
    )


def write_due(writer: Writer, at: Moment, may_return: bool | None = None) -> list[Event]:
    """Write down what deadlines have to say by now, with how late that is; return it."""
    found = now(writer.entries)
    if found.incident is None:
        return []
    ask = Ask(found.recommended is Outcome.ROLLBACK, may_return)
    due = incidents.due(found.incident, found.times, at, ask)
    for event in due:
        writer.append(incident_log.KIND, incident_log.to_json(event))
    return due


def cutover(entries: Sequence[Entry], inventory: Inventory) -> datetime | None:
    """Return when the new side took over: as the inventory says, else the first decision of a phase with users on it."""
    if declared := declared_cutover.declared(inventory):
        return declared
    about = standing.frame(_last_run(entries).begin)
    phases = [phase.id for phase in about.phases]
    late = phases[phases.index(about.rollback_from) :] if about.rollback_from in phases else []
    items = {item.id for item in about.items if item.phase in late}
    runs = [segment for segment in segments(entries) if set(segment.begin["scope_items"]) & items]
    return runs[0].started if runs else None


def loss(entries: Sequence[Entry], inventory: Inventory) -> Lost | None:
    """Count what a rollback would lose; None where no step loses anything. What cannot be counted says why."""
    section = inventory.rollback
    if section is None or not any(step.past_return for step in section.steps):
        return None
    began = cutover(entries, inventory)
    if began is None:
        return Lost(None, None, "when the new side took over is not known: say `rollback.cutover`")
    if section.loss is None or inventory.database is None:
        return Lost(began, None, "the inventory does not say how to count it: add `rollback.loss`")
    cluster = Cluster(inventory.database, None)
    try:
        return probe_loss.count(cluster, section.loss, began)
    finally:
        cluster.close()


def after(entries: Sequence[Entry], section: Rollback, retry: datetime | None) -> After | None:
    """Return what is known of a change after its rollback; None where no incident ever opened."""
    found = now(entries)
    if found.incident is None:
        return None
    began = [e.at.wall for e in found.incident.events if e.what is What.ROLLED_BACK] or [
        found.incident.opened.wall
    ]
    losses = [entry.body for entry in entries if entry.kind == "loss"]
    return After(
        change=found.change,
        inventory=found.inventory,
        incident=found.incident,
        red=tuple(r for r in standing.results(entries) if r.item.id in found.incident.items),
        rollback=progress.newest(entries),
        lost=str(losses[-1]["said"]) if losses else "",
        owner=section.owner,
        due=began[-1] + section.after_within,
        retry=retry,
    )


def _last_run(entries: Sequence[Entry]) -> Segment:
    found = segments(entries)
    if not found:
        raise JournalError("the journal holds no run yet: run the gate first")
    return found[-1]
