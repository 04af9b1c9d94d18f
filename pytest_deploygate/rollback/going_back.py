"""A whole rollback: allowed, begun, done step by step, and what follows from how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event, Incident, State, What
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.inventory.rollback import Rollback, Step
from pytest_deploygate.journal import Writer
from pytest_deploygate.moments import present
from pytest_deploygate.rollback import execution, progress, runbook, situation
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.execution import Ended, Say
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.rollback.losing import Acceptance, Losing, Unsaved

__all__ = ["Acceptance", "Ended", "Refusal", "go", "steps"]


class Refusal(Exception):  # noqa: N818 (it is an answer, not an error)
    """A rollback is not begun; the text says why and what to do."""


def steps(section: Rollback, hooks: Hooks) -> list[Step]:
    """Return the runbook's steps: those of the inventory, then those of the hooks."""
    more = hooks.ask("pytest_deploygate_rollback_steps") or []
    return [*section.steps, *(step for given in more for step in given or ())]


def go(
    writer: Writer,
    inventory: Inventory,
    section: Rollback,
    tools: Tools,
    acceptance: Acceptance | None,
    say: Say,
) -> Ended:
    """Go back, or go on with going back. Raises Refusal when it may not begin, JournalError when nothing can be kept."""
    situation.write_due(writer, present())
    found = situation.now(writer.entries)
    incident = found.incident
    if incident is None or incident.state not in (State.ROLLING_BACK, State.ROLLBACK_FAILED):
        raise Refusal(
            "nobody decided to roll back: `deploygate decide rollback --role ROLE --reason TEXT` comes first"
        )
    losing = Losing(writer, _name(incident), inventory, section, acceptance)
    try:
        losing.answered()
    except Unsaved as unsaved:
        raise Refusal(str(unsaved)) from None
    tools.hooks.ask("pytest_deploygate_notify", event="rollback begun", text=f"{found.change}: going back")
    name = _name(incident)
    tools = replace(tools, inventory=inventory, rollback=name)
    ended = execution.execute(writer, name, steps(section, tools.hooks), tools, say, losing.brink)
    what = What.ROLLED_BACK if ended.verified else What.ROLLBACK_FAILED
    why = "every step was done and verified" if ended.verified else f"{ended.failed}: {ended.why}"
    event = Event(incident.id, what, present(), "deploygate", reason=why)
    writer.append(incident_log.KIND, incident_log.to_json(event))
    if ended.verified and section.rehearsals is not None:
        runbook.remember(section.rehearsals, _durations(ended))
    tools.hooks.ask("pytest_deploygate_notify", event="rollback ended", text=f"{found.change}: {why}")
    return ended


def _name(incident: Incident) -> str:
    """Return the name of the rollback that was decided: one decision is one rollback, however often it is gone on with."""
    decided = [e for e in incident.events if e.what is What.DECIDED and e.says == "ROLLBACK"]
    return f"{incident.id} of {decided[-1].at.wall:%Y-%m-%dT%H:%M:%SZ}"


def _durations(ended: Ended) -> dict[str, float]:
    lines: Sequence[progress.Line] = ended.progress.lines
    return {
        line.step: line.took_s for line in lines if line.mark is progress.Mark.DONE and not line.after_crash
    }
