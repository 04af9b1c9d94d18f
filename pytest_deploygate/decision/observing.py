"""Turn the decision of a run into incident events: an incident opens, continues or ends. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.decision import compose, rules
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.incidents import Event, Incident, State, Times, What, all_of, standing
from pytest_deploygate.model import Decision, Outcome, Severity, Verdict
from pytest_deploygate.moments import Moment

GATE = "gate"


def red_items(results: Sequence[ItemResult], phases: Sequence[str], start: str) -> tuple[str, ...]:
    """Return the critical and major items that a test measured as failed in a phase from `start` on.

    From there on users are on the new system. Something that only people left undone (an attestation, the issue log, a
    signature) is not an incident.
    """
    reached = phases[phases.index(start) :] if start in phases else ()
    return tuple(
        result.item.id
        for result in results
        if result.in_scope
        and result.verdict is Verdict.FAIL
        and result.item.severity is not Severity.MINOR
        and result.item.phase in reached
        and compose.measured_red(result)
    )


def observe(
    events: Sequence[Event],
    times: Times,
    decision: Decision,
    red: Sequence[str],
    scope: Sequence[str],
    now: Moment,
) -> list[Event]:
    """Return the events that a run adds to the incidents of its change.

    `red` are the items that `red_items` returns, `scope` the ids of all items that the run covers. A GO ends an incident
    only if the run covered every item of that incident.
    """
    current = standing(events, times)
    if current is not None:
        says = decision.outcome
        if says is Outcome.GO and not set(current.items) <= set(scope):
            says = Outcome.HOLD
        why = "; ".join(map(rules.short, decision.rules[:2]))
        return [Event(current.id, What.OBSERVED, now, GATE, says.value, why, items=tuple(red))]
    if not red:
        return []
    before = _again(all_of(events, times), red)
    name = before.id if before else f"incident-{len(all_of(events, times)) + 1}"
    why = f"{', '.join(red[:6])} failed" + (", again" if before else "")
    return [Event(name, What.OPENED, now, GATE, decision.outcome.value, why, items=tuple(red))]


def _again(known: Sequence[Incident], red: Sequence[str]) -> Incident | None:
    """Return the latest incident about one of these items: it reopens with its original clock.

    An incident that was rolled back is closed: a failure in the next attempt is a new incident.
    """
    may = [incident for incident in known if incident.state is not State.ROLLED_BACK]
    return next((incident for incident in reversed(may) if set(incident.items) & set(red)), None)
