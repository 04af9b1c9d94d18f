"""What a run means for incidents: what was observed, and whether a rollback must be considered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.decision import incident_log, observing, standing
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.incidents import Event, Times
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import Entry
from pytest_deploygate.model import Decision
from pytest_deploygate.moments import present

#: A journal line to write: its kind and its body.
Line = tuple[str, dict[str, Any]]


def times(inventory: Inventory) -> Times:
    """Return the policy's time limits."""
    section = inventory.of(way_back.Keys).rollback or Rollback()
    return Times(
        decide_s=section.decide_within.total_seconds(),
        rollback_s=section.rollback_within.total_seconds(),
        after_s=section.after_within.total_seconds(),
        held_s=section.held_for.total_seconds(),
        execute_at_deadline=section.at_deadline == "execute",
        fixes=section.max_quick_fixes,
    )


def observed(entries: Sequence[Entry], decision: Decision, red_items: Sequence[str]) -> list[Event]:
    """Return the incident events of a run from its decision and its red items."""
    about = standing.frame([entry for entry in entries if entry.kind == "run"][-1].body)
    events = incident_log.events(entries)
    return observing.observe(events, about.times, decision, red_items, about.scope, present())


def red(entries: Sequence[Entry], composed: Sequence[ItemResult]) -> tuple[str, ...]:
    """Return the items that are red while users are on the new system; `composed` are the results of all items."""
    about = standing.frame([entry for entry in entries if entry.kind == "run"][-1].body)
    phases = [phase.id for phase in about.phases]
    return observing.red_items(composed, phases, about.rollback_from)
