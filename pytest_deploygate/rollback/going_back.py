"""A whole rollback: permission, begin, steps, and what follows from its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_deploygate.checks.way_back.section.rollback import Rollback, Step
from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event, Incident, State, What
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import Entry, Writer
from pytest_deploygate.moments import present
from pytest_deploygate.rollback import execution, finishing, progress, runbook, situation
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.execution import Ended, Say
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.rollback.losing import Acceptance, Losing, Unsaved

__all__ = ["Acceptance", "Ended", "Refusal", "go", "steps"]


class Refusal(Exception):  # noqa: N818 (it is an answer, not an error)
    """A rollback was not begun; the text says why and what to do."""


def steps(section: Rollback, hooks: Hooks) -> list[Step]:
    """Return the runbook's steps: those of the inventory, then those of the hooks.

    Raises Refusal if a hook raises or returns something that is not a Step: a runbook with missing steps would
    end as verified.
    """
    more, wrong = hooks.answers("pytest_deploygate_rollback_steps")
    if wrong:
        raise Refusal(f"a hook that adds steps failed, so the runbook may be incomplete: {wrong[0]}")
    if hooks.unloaded:
        raise Refusal(f"{hooks.unloaded[0]}; it may add steps to the runbook: fix it, or move it away")
    found = [*section.steps, *(step for given in more for step in given)]
    strange = [step for step in found if not isinstance(step, Step)]
    names = [step.name for step in found if isinstance(step, Step)]
    twice = [name for name in names if names.count(name) > 1]
    if strange or twice:
        why = f"{strange[0]!r} is not a Step" if strange else f"two steps are called {twice[0]!r}"
        raise Refusal(f"a hook adds steps that cannot be executed: {why}")
    return found


def go(
    writer: Writer,
    inventory: Inventory,
    section: Rollback,
    tools: Tools,
    acceptance: Acceptance | None,
    say: Say,
) -> Ended:
    """Begin or resume a rollback. Raises Refusal if it may not begin, JournalError if the journal cannot be written."""
    situation.write_due(writer, present())
    found = situation.now(writer.entries)
    incident = found.incident
    if incident is not None and incident.state is State.AFTER:
        raise Refusal(
            f"{incident.id} is rolled back and verified, and only the follow-up is left: "
            f"`deploygate rollback after --change {found.change}`"
        )
    if incident is None or incident.state not in (State.ROLLING_BACK, State.ROLLBACK_FAILED):
        raise Refusal(
            "nobody decided to roll back: run `deploygate decide rollback --role ROLE --reason TEXT` first"
        )
    following = steps(section, tools.hooks)
    losing = Losing(writer, _name(incident), inventory, section, acceptance)
    try:
        losing.answered()
    except Unsaved as unsaved:
        raise Refusal(str(unsaved)) from None
    tools.hooks.ask("pytest_deploygate_notify", event="rollback begun", text=f"{found.change}: going back")
    name = _name(incident)
    tools = replace(tools, inventory=inventory, rollback=name)
    ended = execution.execute(writer, name, following, tools, say, losing.brink)
    what = What.ROLLED_BACK if ended.verified else What.ROLLBACK_FAILED
    why = "every step was done and verified" if ended.verified else f"{ended.failed}: {ended.why}"
    event = Event(incident.id, what, present(), "deploygate", reason=why)
    writer.append(incident_log.KIND, incident_log.to_json(event))
    if ended.verified and section.rehearsals is not None:
        runbook.remember(section.rehearsals, durations(ended))
    finishing.tell(writer, tools.hooks, why, verified=ended.verified, section=section)
    return ended


def begun(incident: Incident, entries: Sequence[Entry]) -> str:
    """Describe the progress of the rollback decided last; empty if no step was begun, or if it succeeded."""
    if not any(e.what is What.DECIDED and e.says == "ROLLBACK" for e in incident.events):
        return ""
    far = progress.of(entries, _name(incident))
    if far is None or far.ended:
        return ""
    done = [line.step for line in far.lines if line.mark is progress.Mark.DONE]
    return f"done: {', '.join(done)}" if done else "none of its steps is done yet"


def _name(incident: Incident) -> str:
    """Return the name of the rollback decided last: one decision is one rollback, however often it is resumed."""
    decided = [e for e in incident.events if e.what is What.DECIDED and e.says == "ROLLBACK"]
    return f"{incident.id} of {decided[-1].at.wall:%Y-%m-%dT%H:%M:%SZ}"


def durations(ended: Ended) -> dict[str, float]:
    """Return the duration of each step that was done without interruption."""
    lines: Sequence[progress.Line] = ended.progress.lines
    return {
        line.step: line.took_s for line in lines if line.mark is progress.Mark.DONE and not line.after_crash
    }
