"""What a run means for incidents: what a rollback would depend on, measured when it matters, and what was observed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.decision import incident_log, incidents, observing, standing
from pytest_deploygate.decision.incidents import Event, Incident, State, Times, What
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import Entry, Writer
from pytest_deploygate.model import Decision, Outcome
from pytest_deploygate.moments import present
from pytest_deploygate.rollback import circumstances as rollback_circumstances
from pytest_deploygate.rollback import going_back, hooks, items
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.going_back import Refusal
from pytest_deploygate.session.settings import Settings

#: A line to be journalled: its kind and its body.
Line = tuple[str, dict[str, Any]]


def times(inventory: Inventory) -> Times:
    """Return the policy's clocks."""
    section = inventory.of(way_back.Keys).rollback or Rollback()
    return Times(
        decide_s=section.decide_within.total_seconds(),
        rollback_s=section.rollback_within.total_seconds(),
        after_s=section.after_within.total_seconds(),
        held_s=section.held_for.total_seconds(),
        execute_at_deadline=section.at_deadline == "execute",
        fixes=section.max_quick_fixes,
    )


def circumstances(settings: Settings, entries: Sequence[Entry]) -> Iterator[Line]:
    """Look at what a rollback depends on, where an item failed after users came to the new system."""
    section = settings.inventory.of(way_back.Keys).rollback
    if section is not None and _red(entries):
        yield (
            standing.CIRCUMSTANCES,
            rollback_circumstances.gather(section, settings.out, settings.inventory.name),
        )


def observed(entries: Sequence[Entry], decision: Decision) -> list[Event]:
    """Say what a run and its decision mean for the incidents of the change."""
    about = standing.frame([entry for entry in entries if entry.kind == "run"][-1].body)
    events = incident_log.events(entries)
    return observing.observe(events, about.times, decision, _red(entries), about.scope, present())


def _red(entries: Sequence[Entry]) -> tuple[str, ...]:
    about = standing.frame([entry for entry in entries if entry.kind == "run"][-1].body)
    phases = [phase.id for phase in about.phases]
    return observing.red_items(standing.results(entries), phases, about.rollback_from)


def _holder(incident: Incident) -> Event | None:
    """Return the decision to hold, where a person took the newest one."""
    decided = [event for event in incident.events if event.what in (What.DECIDED, What.DEADLINE)]
    newest = decided[-1] if decided else None
    return newest if newest and newest.what is What.DECIDED and newest.says == "HOLD" else None


def gone_back(settings: Settings, writer: Writer, decision: Decision, loaded: hooks.Hooks) -> Line | None:
    """Go back at once where the rules decided so and `--rollback=execute` was said; None where not."""
    section = settings.inventory.of(way_back.Keys).rollback
    if decision.outcome is not Outcome.ROLLBACK or not settings.execute_rollback:
        return None
    if section is None or not section.steps:
        why = "--rollback=execute: the inventory has no rollback.steps, so there is nothing to execute"
        return standing.GONE_BACK, {"verified": None, "why": why}
    found = incidents.standing(incident_log.events(writer.entries), times(settings.inventory))
    if found is None:
        return None
    if found.state is State.HELD and (holder := _holder(found)):
        why = f"--rollback=execute: not begun, because {holder.name or holder.by} ({holder.by}) holds: {holder.reason}"
        return standing.GONE_BACK, {"verified": None, "why": why}
    reason = "--rollback=execute: the rules decided"
    event = Event(found.id, What.DECIDED, present(), observing.GATE, Outcome.ROLLBACK.value, reason)
    writer.append(incident_log.KIND, incident_log.to_json(event))
    runner = items.runner(settings.root, str(settings.loaded.file), settings.out)
    tools = Tools(settings.change, loaded, runner)
    try:
        ended = going_back.go(writer, settings.inventory, section, tools, None, lambda _step, _said: None)
    except Refusal as refused:
        return standing.GONE_BACK, {"verified": None, "why": f"the rollback was not begun: {refused}"}
    call = f"; call {ended.call}" if ended.call else ""
    why = "every step was done and verified" if ended.verified else f"{ended.failed}: {ended.why}{call}"
    return standing.GONE_BACK, {"verified": ended.verified, "why": why}
