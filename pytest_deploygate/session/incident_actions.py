"""What a run does about an incident of its change: measure circumstances, act on deadlines, call hooks, roll back.

This module imports all of the rollback code. A run without an incident does not import it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.decision import incident_log, incidents, observing, standing
from pytest_deploygate.decision.incidents import Event, Incident, State, What
from pytest_deploygate.journal import Writer
from pytest_deploygate.model import Decision, Outcome
from pytest_deploygate.moments import present
from pytest_deploygate.rollback import circumstances as rollback_circumstances
from pytest_deploygate.rollback import going_back, items, situation
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.going_back import Refusal
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.session import incident
from pytest_deploygate.session.incident import Line
from pytest_deploygate.session.settings import Settings

BY = "hook"
_STRICTER = (Outcome.GO, Outcome.HOLD, Outcome.ROLLBACK)


def circumstances(settings: Settings) -> Iterator[Line]:
    """Measure what a rollback depends on, if an item failed while users are on the new system."""
    section = settings.inventory.of(way_back.Keys).rollback
    if section is not None:
        seen = rollback_circumstances.gather(section, settings.out, settings.inventory.name)
        yield standing.CIRCUMSTANCES, seen


def overdue(writer: Writer, settings: Settings, loaded: Hooks) -> None:
    """Journal and notify deadlines that have passed, with how late that is. Raises JournalError."""
    for event in situation.write_due(
        writer, present(), lambda: situation.look_again(writer, settings.inventory, settings.out)
    ):
        kind = "deadline" if event.what is What.DEADLINE else "decided"
        text = f"{settings.change}, {event.incident}: {event.reason}"
        loaded.ask("pytest_deploygate_notify", event=kind, text=text)


def decided(writer: Writer, settings: Settings, decision: Decision, loaded: Hooks) -> None:
    """Let a hook decide in place of a person. Raises JournalError.

    It may be as strict as the rules or stricter. A milder or invalid answer is refused and reported.
    """
    found = incidents.standing(incident_log.events(writer.entries), situation.now(writer.entries).times)
    if found is None or found.state is not State.ASSESSING:
        return
    answer = loaded.ask("pytest_deploygate_decide", decision=decision)
    if answer is None:
        return
    if wrong := _refused(answer, decision):
        loaded.complain("pytest_deploygate_decide", wrong)
        return
    _write(writer, settings, found, Outcome(str(answer).upper()), loaded)


def _refused(answer: object, decision: Decision) -> str:
    known = [outcome.value for outcome in _STRICTER]
    if not isinstance(answer, str) or answer.upper() not in known:
        return f"answered {answer!r}, which is not one of {', '.join(known)}: ignored"
    if _STRICTER.index(Outcome(answer.upper())) < _STRICTER.index(decision.outcome):
        return f"answered {answer.upper()} to {decision.outcome.value}, which is refused: a hook can only be stricter"
    return ""


def _write(writer: Writer, settings: Settings, found: Incident, says: Outcome, loaded: Hooks) -> None:
    event = Event(found.id, What.DECIDED, present(), BY, says.value, "a hook of the repository decided")
    writer.append(incident_log.KIND, incident_log.to_json(event))
    text = f"{settings.change}, {found.id}: {says.value} by a hook"
    loaded.ask("pytest_deploygate_notify", event="decided", text=text)


def _holder(found: Incident) -> Event | None:
    """Return the decision to hold, if the newest decision is one and was made by a person."""
    decisions = [event for event in found.events if event.what in (What.DECIDED, What.DEADLINE)]
    newest = decisions[-1] if decisions else None
    return newest if newest and newest.what is What.DECIDED and newest.says == "HOLD" else None


def gone_back(settings: Settings, writer: Writer, loaded: Hooks) -> Line | None:
    """Roll back at once, as the rules decided and `--rollback=execute` allows; None if no incident is open."""
    section = settings.inventory.of(way_back.Keys).rollback
    if section is None or not section.steps:
        why = "--rollback=execute: nothing to execute, the inventory has no rollback.steps"
        return standing.GONE_BACK, {"verified": None, "why": why}
    found = incidents.standing(incident_log.events(writer.entries), incident.times(settings.inventory))
    if found is None:
        return None
    if found.state is State.HELD and (holder := _holder(found)):
        why = f"--rollback=execute: not begun, because {holder.name or holder.by} ({holder.by}) decided to hold: {holder.reason}"
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
