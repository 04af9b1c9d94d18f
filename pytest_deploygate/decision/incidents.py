"""The state of an incident: a pure function of its events in the journal, the policy's times and the current time.

An incident is a critical or major failure in a phase in which users are on the new system. It opens once: 15 minutes
to decide, 30 to roll back, 60 to clean up (the policy's times). A re-run never resets its clock. An incident whose items
fail again after it was closed continues with its original clock.

When a clock expires, the policy's action is due. Nobody has to be watching: `due` returns what should have been recorded
by now, and the next command that runs records it, together with how late it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from enum import StrEnum

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.moments import Moment, elapsed_s


class State(StrEnum):
    """The states of an incident."""

    ASSESSING = "assessing"
    FIXING = "fixing"
    RERUNNING = "rerunning"
    PASSED = "passed"
    HELD = "held"
    ROLLING_BACK = "rolling back"
    AFTER = "after"
    ROLLED_BACK = "rolled back"
    ROLLBACK_FAILED = "rollback failed"


#: States in which nothing is left to do.
OVER = (State.PASSED, State.ROLLED_BACK)


class What(StrEnum):
    """What happened to an incident. `deadline` means that nobody acted in time."""

    OPENED = "opened"
    OBSERVED = "observed"  # a run of the gate; `says` is its decision
    FIX_BEGUN = "fix begun"
    FIX_DONE = "fix done"
    DECIDED = "decided"  # by a person, or by a policy's deadline
    DEADLINE = "deadline"
    ROLLED_BACK = "rolled back"  # every step was done and verified
    ROLLBACK_FAILED = "rollback failed"
    AFTER_DONE = "after done"


@dataclass(frozen=True)
class Event:
    """One event of an incident. `says` is GO, HOLD or ROLLBACK if something was decided or observed.

    `by` is a role, `gate` (a run) or `deadline`. `late_s` is how late the expiry of a deadline was recorded.
    `signature` is the armoured SSH signature of a person's decision; empty if it is not signed.
    """

    incident: str
    what: What
    at: Moment
    by: str
    says: str = ""
    reason: str = ""
    name: str = ""
    items: tuple[str, ...] = ()
    late_s: float = 0.0
    signature: str = field(default="", repr=False)


@dataclass(frozen=True)
class Times:
    """The policy's clocks in seconds. `execute_at_deadline` must be set explicitly: the default is to escalate.

    `fixes` is the number of quick fixes that may be tried.
    """

    decide_s: float = 900.0
    rollback_s: float = 1800.0
    after_s: float = 3600.0
    held_s: float = 3600.0
    execute_at_deadline: bool = False
    fixes: int = 1


@dataclass(frozen=True)
class Incident:
    """The current state of an incident. `clock` is the running clock: its name, when it started, and its length."""

    id: str
    state: State
    opened: Moment
    items: tuple[str, ...]
    clock: tuple[str, Moment, float] | None
    fixes: int = 0
    expired: tuple[str, ...] = ()  # clocks whose expiry was acted on
    recommended: str = ""
    advised: str = ""  # what the latest run of the gate said
    events: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def over(self) -> bool:
        """True when nothing is left to do."""
        return self.state in OVER

    def left_s(self, now: Moment) -> float | None:
        """Return the seconds left on the running clock, negative once it has expired; None without a clock."""
        if self.clock is None:
            return None
        _, began, allowed = self.clock
        return allowed - elapsed_s(began, now)


def all_of(events: Sequence[Event], times: Times) -> list[Incident]:
    """Return all incidents of a change, in the order in which they opened."""
    found: dict[str, Incident] = {}
    for event in events:
        before = found.get(event.incident)
        if before is None:
            if event.what is not What.OPENED:
                continue
            clock = ("decide", event.at, times.decide_s)
            found[event.incident] = Incident(
                event.incident,
                State.ASSESSING,
                event.at,
                event.items,
                clock,
                advised=event.says,
                events=(event,),
            )
        else:
            after = _after(before, event, times)
            found[event.incident] = replace(after, events=(*before.events, event))
    return list(found.values())


def standing(events: Sequence[Event], times: Times) -> Incident | None:
    """Return the incident that is not over; None if all are."""
    return next((incident for incident in reversed(all_of(events, times)) if not incident.over), None)


def _after(incident: Incident, event: Event, times: Times) -> Incident:
    """Return the incident after one more event. An event that does not fit the current state changes nothing."""
    match event.what:
        case What.OPENED:  # failed again: it continues with its original clock
            again = replace(incident, items=_joined(incident, event), advised=event.says)
            return _asked_again(again, times)
        case What.OBSERVED:
            return replace(_observed(incident, event, times), advised=event.says)
        case What.FIX_BEGUN if incident.state in (State.ASSESSING, State.HELD):
            return replace(incident, state=State.FIXING, fixes=incident.fixes + 1)  # its clock keeps running
        case What.FIX_DONE if incident.state is State.FIXING:
            return replace(incident, state=State.RERUNNING)
        case What.DECIDED if incident.state not in (State.PASSED, State.ROLLED_BACK, State.AFTER):
            return _decided(incident, event, times)
        case What.DEADLINE:
            return _expired(incident, event, times)
        case What.ROLLED_BACK if incident.state in (State.ROLLING_BACK, State.ROLLBACK_FAILED):
            return _timed(incident, State.AFTER, ("after", event.at, times.after_s))
        case What.ROLLBACK_FAILED if incident.state is State.ROLLING_BACK:
            return replace(incident, state=State.ROLLBACK_FAILED)
        case What.AFTER_DONE if incident.state is State.AFTER:
            return replace(incident, state=State.ROLLED_BACK, clock=None)
    return incident


def _timed(incident: Incident, state: State, clock: tuple[str, Moment, float]) -> Incident:
    """Start a clock. Its expiry has not been acted on, whatever happened to an earlier clock of the same name."""
    expired = tuple(name for name in incident.expired if name != clock[0])
    return replace(incident, state=state, clock=clock, expired=expired)


def _asked_again(incident: Incident, times: Times) -> Incident:
    """Ask for a decision again, on the original clock: if that has expired, its action is due at once."""
    return _timed(incident, State.ASSESSING, ("decide", incident.opened, times.decide_s))


def _joined(incident: Incident, event: Event) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*incident.items, *event.items)))


def _observed(incident: Incident, event: Event, times: Times) -> Incident:
    """Apply a run of the gate: GO ends the assessment; a worse result during a HOLD asks for a decision again."""
    if incident.state in (State.ROLLING_BACK, State.AFTER, State.ROLLBACK_FAILED, *OVER):
        return incident
    if event.says == "GO":
        return replace(incident, state=State.PASSED, clock=None)
    after = replace(incident, items=_joined(incident, event))
    if incident.clock is None or incident.clock[0] == "decide":
        return replace(after, state=State.ASSESSING)
    # A HOLD was decided, or nobody decided in time. Whoever held knew what the previous run advised on these items.
    new = set(event.items) - set(incident.items)
    worse = event.says == "ROLLBACK" and (incident.advised != "ROLLBACK" or new)
    return _asked_again(after, times) if worse else replace(after, state=State.HELD)


def _decided(incident: Incident, event: Event, times: Times) -> Incident:
    match event.says:
        case "GO":
            return replace(incident, state=State.PASSED, clock=None)
        case "HOLD" if incident.state is not State.ROLLBACK_FAILED:
            return _timed(incident, State.HELD, ("hold", event.at, times.held_s))
        case "ROLLBACK" if incident.clock and incident.clock[0] == "roll back":
            return replace(incident, state=State.ROLLING_BACK)  # decided again: its 30 minutes keep running
        case "ROLLBACK":
            return _timed(incident, State.ROLLING_BACK, ("roll back", event.at, times.rollback_s))
    return incident


def _expired(incident: Incident, event: Event, times: Times) -> Incident:
    if incident.clock is None:
        return incident
    name = incident.clock[0]
    after = replace(incident, expired=(*incident.expired, name), recommended=event.says)
    if name == "decide":
        return replace(after, state=State.HELD, clock=("hold", event.at, times.held_s))
    if name == "hold":  # asked again at each expiry, each time with a full clock
        return replace(after, clock=("hold", event.at, times.held_s))
    return after  # an overrun is recorded and never aborts a rollback that has begun


@dataclass(frozen=True)
class Ask:
    """What the policy needs to know at a deadline: whether the conditions of ROLLBACK are met now.

    `may_return` is false past the point of no return and None if that is unknown; in both cases nothing is executed.
    """

    conditions_hold: bool
    may_return: bool | None = None


def due(incident: Incident, times: Times, now: Moment, ask: Ask) -> list[Event]:
    """Return the events that a deadline has to record by now; none while the clock runs or once it was acted on."""
    left = incident.left_s(now)
    if left is None or left > 0 or incident.clock is None:
        return []
    name = incident.clock[0]
    if name in incident.expired and name != "hold":
        return []
    says = "ROLLBACK" if ask.conditions_hold else "HOLD"
    found = [
        Event(
            incident.id, What.DEADLINE, now, "deadline", says, _why(name, says, times), late_s=max(0.0, -left)
        )
    ]
    if name == "decide" and says == "ROLLBACK" and times.execute_at_deadline:
        if ask.may_return:
            reason = "the policy executes at the deadline, and the conditions of ROLLBACK are met"
            found.append(
                Event(incident.id, What.DECIDED, now, "deadline", "ROLLBACK", reason, late_s=max(0.0, -left))
            )
        else:
            past = (
                "writes would be lost"
                if ask.may_return is False
                else "it is unknown whether writes would be lost"
            )
            found[0] = replace(
                found[0],
                reason=f"{found[0].reason}; not executed at the deadline: {past}, and that needs the decision of a named person",
            )
    return found


def _why(clock: str, says: str, times: Times) -> str:
    match clock:
        case "decide" if says == "ROLLBACK":
            return "nobody decided in time: ROLLBACK is recommended, its conditions are met; escalate"
        case "decide":
            return "nobody decided in time: HOLD, the conditions of ROLLBACK are not met or unknown; escalate"
        case "hold":
            return f"on HOLD for {times.held_s / 60:.0f} min without a decision: escalate again; {says} is recommended"
        case "roll back":
            return f"the rollback takes longer than {times.rollback_s / 60:.0f} min: escalate; it continues"
    return (
        f"the work after the rollback takes longer than {times.after_s / 60:.0f} min: escalate; it continues"
    )
