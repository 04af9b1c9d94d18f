"""Recording the outcome of a rollback, also of one that was killed after its last step."""

from __future__ import annotations

from pytest_deploygate import journal
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.decision import incident_log, rules, standing, unfinished
from pytest_deploygate.decision.incidents import Event, What
from pytest_deploygate.decision.unfinished import HalfDone
from pytest_deploygate.journal import Writer, utcnow
from pytest_deploygate.moments import present
from pytest_deploygate.rollback import aftermath, situation
from pytest_deploygate.rollback.hooks import Hooks


def finish(writer: Writer, hooks: Hooks | None = None) -> HalfDone | None:
    """Record what a killed rollback did not: event, outcome, decision. Returns it; None if nothing was left half done.

    One that was killed between steps stays as it is: only its own command can continue it. `hooks` are told of an
    outcome that nobody was told of. Raises JournalError.
    """
    with journal.readable():
        found = unfinished.rollback(writer.entries)
    if found is None or not found.closed:
        return None
    if not found.has_event:
        what = What.ROLLED_BACK if found.verified else What.ROLLBACK_FAILED
        event = Event(found.incident, what, present(), "deploygate", reason=found.why)
        writer.append(incident_log.KIND, incident_log.to_json(event))
        if hooks is not None:
            tell(writer, hooks, found.why, verified=found.verified)
    if not found.has_line:
        stands(writer, found.why, verified=found.verified)
    else:
        _decide(writer)
    return found


def stands(writer: Writer, why: str, *, verified: bool) -> None:
    """Record the outcome of a rollback, and the decision that stands since. Raises JournalError."""
    run = journal.segments(writer.entries)[-1].run
    writer.append(standing.GONE_BACK, {"run": run, "verified": verified, "why": why})
    _decide(writer)


def _decide(writer: Writer) -> None:
    run = journal.segments(writer.entries)[-1].run
    decision = rules.decide(standing.question(writer.entries, [], utcnow()))
    writer.append("decision", {"run": run, "decision": journal.decision_to_json(decision)})


def tell(writer: Writer, hooks: Hooks, why: str, *, verified: bool, section: Rollback | None = None) -> None:
    """Tell the hooks that a rollback ended, and what is left to do."""
    change = situation.now(writer.entries).change
    hooks.ask("pytest_deploygate_notify", event="rollback ended", text=f"{change}: {why}")
    left = situation.after(writer.entries, section or Rollback(), None)
    titles = [task.title for task in aftermath.tasks(left)] if left else []
    hooks.ask("pytest_deploygate_post_rollback", verified=verified, tasks=titles)
