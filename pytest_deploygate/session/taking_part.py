"""What hooks of the repository are asked when a run closes: about its incident, about red items, and for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_deploygate.decision import incident_log, incidents, standing
from pytest_deploygate.decision.incidents import Event, Incident, State, What
from pytest_deploygate.journal import Entry, Writer
from pytest_deploygate.model import Decision, Finding, Outcome
from pytest_deploygate.moments import present
from pytest_deploygate.redaction import redact
from pytest_deploygate.report import added
from pytest_deploygate.rollback import situation
from pytest_deploygate.rollback.hooks import Hooks
from pytest_deploygate.session.incident import Line
from pytest_deploygate.session.settings import Settings

BY = "hook"
_STRICTER = (Outcome.GO, Outcome.HOLD, Outcome.ROLLBACK)


def opened(writer: Writer, change: str, hooks: Hooks, events: Sequence[Event]) -> Iterator[Line]:
    """Have an incident that this run opened told to people, and its red findings classified."""
    for event in events:
        if event.what is not What.OPENED:
            continue
        hooks.ask(
            "pytest_deploygate_notify", event="opened", text=f"{change}, {event.incident}: {event.reason}"
        )
        for finding in _red(writer.entries, event.items):
            for said in hooks.ask("pytest_deploygate_classify", finding=finding):
                about = f"{finding.item} {finding.target}".strip()
                words = redact(" ".join(str(said).split()))
                yield added.CLASSIFIED, {"item": finding.item, "said": words, "text": f"{about}: {words}"}


def _red(entries: Sequence[Entry], items: Sequence[str]) -> list[Finding]:
    results = [r for r in standing.results(entries) if r.item.id in items]
    return [f for result in results for f in result.findings if not f.verdict.good]


def overdue(writer: Writer, settings: Settings, hooks: Hooks) -> None:
    """Write down what deadlines have to say by now, with how late that is, and tell it. Raises JournalError."""
    for event in situation.write_due(
        writer, present(), lambda: situation.look_again(writer, settings.inventory, settings.out)
    ):
        kind = "deadline" if event.what is What.DEADLINE else "decided"
        text = f"{settings.change}, {event.incident}: {event.reason}"
        hooks.ask("pytest_deploygate_notify", event=kind, text=text)


def decided(writer: Writer, settings: Settings, decision: Decision, hooks: Hooks) -> None:
    """Let a hook decide in the place of the person who is asked. Raises JournalError.

    It may be as strict as the rules or stricter; what is milder, or no decision, is refused and said.
    """
    incident = incidents.standing(incident_log.events(writer.entries), situation.now(writer.entries).times)
    if incident is None or incident.state is not State.ASSESSING:
        return
    answer = hooks.ask("pytest_deploygate_decide", decision=decision)
    if answer is None:
        return
    if wrong := _refused(answer, decision):
        hooks.complain("pytest_deploygate_decide", wrong)
        return
    _write(writer, settings, incident, Outcome(str(answer).upper()), hooks)


def _refused(answer: object, decision: Decision) -> str:
    known = [outcome.value for outcome in _STRICTER]
    if not isinstance(answer, str) or answer.upper() not in known:
        return f"answered {answer!r}, which is none of {', '.join(known)}: nothing is decided by it"
    if _STRICTER.index(Outcome(answer.upper())) < _STRICTER.index(decision.outcome):
        return f"said {answer.upper()} over {decision.outcome.value}, which is refused: a hook can only be stricter"
    return ""


def _write(writer: Writer, settings: Settings, incident: Incident, says: Outcome, hooks: Hooks) -> None:
    event = Event(incident.id, What.DECIDED, present(), BY, says.value, "a hook of the repository decided")
    writer.append(incident_log.KIND, incident_log.to_json(event))
    text = f"{settings.change}, {incident.id}: {says.value} by a hook"
    hooks.ask("pytest_deploygate_notify", event="decided", text=text)


def sections(hooks: Hooks) -> Iterator[Line]:
    """Ask for sections of the report; what is no title and text is refused and said."""
    for given in hooks.ask("pytest_deploygate_report_section"):
        if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, str) for part in given):
            yield added.SECTION, {"title": redact(given[0]), "text": redact(given[1])}
        else:
            hooks.complain("pytest_deploygate_report_section", f"gave {given!r}, which is no title and text")
