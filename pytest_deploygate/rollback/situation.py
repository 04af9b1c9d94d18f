"""The current state of a change: its newest incident, what its deadlines require, and what a rollback would lose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.checks.way_back.facts import Lost
from pytest_deploygate.checks.way_back.probe import loss as probe_loss
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.decision import incident_log, incidents, standing
from pytest_deploygate.decision.incidents import Ask, Event, Incident, Times, What
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import Entry, JournalError, Segment, Writer, segments
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, Decision, Outcome
from pytest_deploygate.moments import Moment
from pytest_deploygate.rollback import circumstances, progress
from pytest_deploygate.rollback import cutover as declared_cutover
from pytest_deploygate.rollback.aftermath import After, call_order

#: The kind of journal line that records what was seen before a deadline's action. It belongs to no run.
LOOKED_AGAIN = "looked again"


@dataclass(frozen=True)
class Now:
    """The state of a change. `incident` is the open one, else the newest; `decision` is that of the last run."""

    change: str
    inventory: str
    times: Times
    incident: Incident | None
    decision: Decision | None
    phases: tuple[str, ...]
    rollback_from: str

    @property
    def recommended(self) -> Outcome:
        """What the last run's rules recommend; HOLD if no run ended: unknown never allows a rollback."""
        return self.decision.outcome if self.decision else Outcome.HOLD


def now(entries: Sequence[Entry]) -> Now:
    """Read a journal. Raises JournalError if it contains no run."""
    about = standing.frame(_last_run(entries).begin)
    decided = [segment.decision for segment in segments(entries) if segment.decision]
    known = incidents.all_of(incident_log.events(entries), about.times)
    open_ = [incident for incident in known if not incident.over]
    return Now(
        about.change,
        about.inventory,
        about.times,
        next(reversed(open_ or known), None),
        decided[-1] if decided else None,
        tuple(phase.id for phase in about.phases),
        about.rollback_from,
    )


def write_due(writer: Writer, at: Moment, look: Callable[[], Ask] | None = None) -> list[Event]:
    """Journal and return the events of deadlines that have passed, with how late they are.

    `look` is called at a deadline at which the policy executes: the last run's answer may be a quarter of an hour old.
    Without it nothing is executed.
    """
    found = now(writer.entries)
    advised = Ask(found.recommended is Outcome.ROLLBACK)
    if found.incident is None or not incidents.due(found.incident, found.times, at, advised):
        return []
    executes = found.times.execute_at_deadline and advised.conditions_hold and look is not None
    ask = look() if executes and look else advised
    due = incidents.due(found.incident, found.times, at, ask)
    for event in due:
        writer.append(incident_log.KIND, incident_log.to_json(event))
    return due


def look_again(writer: Writer, inventory: Inventory, folder: Path) -> Ask:
    """Measure what a rollback depends on once more and journal it; `folder` is the change's own.

    Items are as the last run measured them; the old side, the gate's own view and the loss are measured now.
    """
    section = inventory.of(way_back.Keys).rollback
    if section is None:
        return Ask(conditions_hold=False)
    seen = circumstances.gather(section, folder, inventory.name)
    lost = loss(writer.entries, inventory)
    may_return = True if lost is None else None if lost.rows is None else lost.rows == 0
    holds = seen["old_side_healthy"] is True and seen["blind"] is False
    health, loses = ("as a rollback requires" if holds else "NOT as a rollback requires"), _loses(may_return)
    text = f"checked before the deadline's action: the old side and the gate's own view are {health}; {loses}"
    writer.append(LOOKED_AGAIN, {**seen, "text": text, "conditions_hold": holds, "may_return": may_return})
    return Ask(now(writer.entries).recommended is Outcome.ROLLBACK and holds, may_return)


def _loses(may_return: bool | None) -> str:
    words = {
        True: "nothing would be lost",
        False: "writes would be lost",
        None: "the loss is not known",
    }
    return words[may_return]


def cutover(entries: Sequence[Entry], section: Rollback | None) -> datetime | None:
    """Return the time of the cutover: from the inventory, else the begin of the first run with users on the new side.

    Raises CannotTell.
    """
    if declared := declared_cutover.declared(section):
        return declared
    about = standing.frame(_last_run(entries).begin)
    phases = [phase.id for phase in about.phases]
    late = phases[phases.index(about.rollback_from) :] if about.rollback_from in phases else []
    items = {item.id for item in about.items if item.phase in late}
    runs = [segment for segment in segments(entries) if set(segment.begin["scope_items"]) & items]
    return runs[0].started if runs else None


def loss(entries: Sequence[Entry], inventory: Inventory) -> Lost | None:
    """Count what a rollback would lose; None if no step loses anything. If it cannot be counted, the result says why."""
    section = inventory.of(way_back.Keys).rollback
    if section is None or not any(step.past_return for step in section.steps):
        return None
    try:
        began = cutover(entries, section)
    except CannotTell as unknown:
        return Lost(None, None, str(unknown))
    if began is None:
        return Lost(None, None, "the time of the cutover is not known: set `rollback.cutover`")
    if section.loss is None or inventory.database is None:
        return Lost(began, None, "the inventory does not say how to count it: add `rollback.loss`")
    cluster = Cluster(inventory.database, None)
    try:
        return probe_loss.lost_since(cluster, section.loss, began)
    finally:
        cluster.close()


def after(entries: Sequence[Entry], section: Rollback, retry: datetime | None) -> After | None:
    """Return what is known of a change after its rollback; None if no incident was opened."""
    found = now(entries)
    if found.incident is None:
        return None
    began = [e.at.wall for e in found.incident.events if e.what is What.ROLLED_BACK] or [
        found.incident.opened.wall
    ]
    losses = [entry.body for entry in entries if entry.kind == "loss"]
    begin = _last_run(entries).begin
    back = progress.newest(entries)
    return After(
        change=found.change,
        inventory=found.inventory,
        incident=found.incident,
        red=tuple(r for r in standing.results(entries) if r.item.id in found.incident.items),
        rollback=back,
        lost=str(losses[-1]["said"]) if losses else "",
        owner=section.owner,
        due=began[-1] + section.after_within,
        retry=retry,
        calls=call_order(begin.get("contacts", ()), _first_to_call(section, back)),
    )


def _first_to_call(section: Rollback, back: progress.Progress | None) -> list[str]:
    """Return whom to call for steps that failed and were not done since, newest first, then the rollback's owner."""
    failed = [line.step for line in (back.lines if back else ()) if line.mark is progress.Mark.FAILED]
    calls = {step.name: step.call for step in section.steps}
    left = [name for name in reversed(failed) if back and not back.done(name)]
    return [*(calls.get(name, "") for name in left), section.owner]


def _last_run(entries: Sequence[Entry]) -> Segment:
    found = segments(entries)
    if not found:
        raise JournalError("the journal contains no run yet: run the gate first")
    return found[-1]
