"""The state of an incident: a pure function of its events in the journal, the policy's times and the present.

An incident is a critical or major failure in a phase in which users are on the new system. It opens once: 15 minutes
to decide, 30 to roll back, 60 to clean up (the policy's times). A re-run never resets its clock, and an incident whose
items turn red again after it was over goes on with the clock that it had.

At the end of a clock the policy's action is due. Nobody needs to be looking: `due` gives what should have been written
down by now, and whoever comes next writes it, with how late that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pytest_deploygate.moments import Moment, elapsed_s


class State(StrEnum):
    """Where an incident is."""

    ASSESSING = "assessing"
    FIXING = "fixing"
    RERUNNING = "rerunning"
    PASSED = "passed"
    HELD = "held"
    ROLLING_BACK = "rolling back"
    AFTER = "after"
    ROLLED_BACK = "rolled back"
    ROLLBACK_FAILED = "rollback failed"


#: States in which nothing is asked of anybody any more.
OVER = (State.PASSED, State.ROLLED_BACK)


class What(StrEnum):
    """What happened to an incident. `deadline` is what nobody did in time."""

    OPENED = "opened"
    OBSERVED = "observed"  # a run of the gate; `says` is its decision
    FIX_BEGUN = "fix begun"
    FIX_DONE = "fix done"
    DECIDED = "decided"  # by a person, or by a policy's deadline
    DEADLINE = "deadline"
    ROLLED_BACK = "rolled back"  # every step done and verified
    ROLLBACK_FAILED = "rollback failed"
    AFTER_DONE = "after done"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `says` is GO, HOLD or ROLLBACK where something was decided or observed.

    `by` is a role, `gate` (a run) or `deadline`. `late_s` is how long after it was due a deadline was written down.
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


@dataclass(frozen=True, slots=True)
class Times:
    """The policy's clocks in seconds. `execute_at_deadline` must be written by hand: the default escalates.

    `fixes` is how many quick fixes may be tried.
    """

    decide_s: float = 900.0
    rollback_s: float = 1800.0
    after_s: float = 3600.0
    held_s: float = 3600.0
    execute_at_deadline: bool = False
    fixes: int = 1


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it stands. `clock` is what is running now: its name, when it began, and how long it may take."""

    id: str
    state: State
    opened: Moment
    items: tuple[str, ...]
    clock: tuple[str, Moment, float] | None
    fixes: int = 0
    expired: tuple[str, ...] = ()  # clocks whose end was acted on
    recommended: str = ""
    events: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def over(self) -> bool:
        """True when nothing is asked of anybody any more."""
        return self.state in OVER

    def left_s(self, now: Moment) -> float | None:
        """Return the seconds that the running clock has left, negative when it is over; None without a clock."""
        if self.clock is None:
            return None
        _, began, allowed = self.clock
        return allowed - elapsed_s(began, now)


def all_of(events: Sequence[Event], times: Times) -> list[Incident]:
    """Return every incident of a change, in the order in which they opened."""
    found: dict[str, Incident] = {}
    for event in events:
        before = found.get(event.incident)
        if before is None:
            if event.what is not What.OPENED:
                continue
            clock = ("decide", event.at, times.decide_s)
            found[event.incident] = Incident(
                event.incident, State.ASSESSING, event.at, event.items, clock, events=(event,)
            )
        else:
            after = _after(before, event, times)
            found[event.incident] = replace(after, events=(*before.events, event))
    return list(found.values())


def standing(events: Sequence[Event], times: Times) -> Incident | None:
    """Return the incident that is not over; None when all are."""
    return next((incident for incident in reversed(all_of(events, times)) if not incident.over), None)


def _after(incident: Incident, event: Event, times: Times) -> Incident:
    """Return the incident after one more event. What does not fit the state it is in changes nothing."""
    deciding = ("decide", incident.opened, times.decide_s)
    match event.what:
        case What.OPENED:  # red again: it goes on with the clock that it had
            return replace(incident, state=State.ASSESSING, clock=deciding, items=_joined(incident, event))
        case What.OBSERVED:
            return _observed(incident, event, times)
        case What.FIX_BEGUN if incident.state in (State.ASSESSING, State.HELD):
            return replace(incident, state=State.FIXING, fixes=incident.fixes + 1, clock=deciding)
        case What.FIX_DONE if incident.state is State.FIXING:
            return replace(incident, state=State.RERUNNING)
        case What.DECIDED if incident.state not in (State.ROLLED_BACK, State.AFTER):
            return _decided(incident, event, times)
        case What.DEADLINE:
            return _expired(incident, event, times)
        case What.ROLLED_BACK if incident.state in (State.ROLLING_BACK, State.ROLLBACK_FAILED):
            return replace(incident, state=State.AFTER, clock=("after", event.at, times.after_s))
        case What.ROLLBACK_FAILED if incident.state is State.ROLLING_BACK:
            return replace(incident, state=State.ROLLBACK_FAILED)
        case What.AFTER_DONE if incident.state is State.AFTER:
            return replace(incident, state=State.ROLLED_BACK, clock=None)
    return incident


def _joined(incident: Incident, event: Event) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*incident.items, *event.items)))


def _observed(incident: Incident, event: Event, times: Times) -> Incident:
    """A run of the gate: good ends the assessment; ROLLBACK while somebody holds takes the question up again."""
    if incident.state in (State.ROLLING_BACK, State.AFTER, State.ROLLBACK_FAILED, *OVER):
        return incident
    if event.says == "GO":
        return replace(incident, state=State.PASSED, clock=None)
    if incident.state is State.HELD and event.says != "ROLLBACK":
        return replace(incident, items=_joined(incident, event))
    clock = ("decide", incident.opened, times.decide_s)
    if incident.state is State.HELD:  # its clock is over: the deadline's action is due again, at once
        return replace(
            incident,
            state=State.ASSESSING,
            clock=clock,
            items=_joined(incident, event),
            expired=tuple(name for name in incident.expired if name != "decide"),
        )
    return replace(incident, state=State.ASSESSING, clock=clock, items=_joined(incident, event))


def _decided(incident: Incident, event: Event, times: Times) -> Incident:
    match event.says:
        case "GO":
            return replace(incident, state=State.PASSED, clock=None)
        case "HOLD" if incident.state not in (State.ROLLING_BACK, State.ROLLBACK_FAILED):
            held = tuple(name for name in incident.expired if name != "hold")
            return replace(incident, state=State.HELD, clock=("hold", event.at, times.held_s), expired=held)
        case "ROLLBACK" if incident.state is not State.ROLLING_BACK:
            return replace(
                incident, state=State.ROLLING_BACK, clock=("roll back", event.at, times.rollback_s)
            )
    return incident


def _expired(incident: Incident, event: Event, times: Times) -> Incident:
    if incident.clock is None:
        return incident
    name = incident.clock[0]
    after = replace(incident, expired=(*incident.expired, name), recommended=event.says)
    if name == "decide":
        return replace(after, state=State.HELD, clock=("hold", event.at, times.held_s), expired=("decide",))
    if name == "hold":  # it is asked for again and again, each time with a whole clock
        return replace(after, clock=("hold", event.at, times.held_s))
    return after  # an overrun is written down and never breaks off a rollback that is half done


@dataclass(frozen=True, slots=True)
class Ask:
    """What the policy needs to know at a deadline: whether ROLLBACK's conditions hold now, and past what point.

    `may_return` is false past the point of no return, None when nobody knows: then nothing is executed.
    """

    conditions_hold: bool
    may_return: bool | None = None


def due(incident: Incident, times: Times, now: Moment, ask: Ask) -> list[Event]:
    """Return what a deadline has to write down by now: nothing while the clock runs, or once it was acted on."""
    left = incident.left_s(now)
    if left is None or left > 0 or incident.clock is None:
        return []
    name = incident.clock[0]
    if name in incident.expired and name != "hold":
        return []
    says = "ROLLBACK" if ask.conditions_hold else "HOLD"
    found = [Event(incident.id, What.DEADLINE, now, "deadline", says, _why(name, says, times), late_s=-left)]
    if name == "decide" and says == "ROLLBACK" and times.execute_at_deadline and ask.may_return:
        reason = "the policy says to execute at the deadline, and the conditions of ROLLBACK hold"
        found.append(Event(incident.id, What.DECIDED, now, "deadline", "ROLLBACK", reason))
    return found


def _why(clock: str, says: str, times: Times) -> str:
    match clock:
        case "decide" if says == "ROLLBACK":
            return "nobody decided in time: ROLLBACK is recommended, its conditions hold; escalate"
        case "decide":
            return "nobody decided in time: HOLD, the conditions of ROLLBACK do not hold or are not known; escalate"
        case "hold":
            return (
                f"held for {times.held_s / 60:.0f} min without an end: escalate again; {says} is recommended"
            )
        case "roll back":
            return f"the rollback takes longer than {times.rollback_s / 60:.0f} min: escalate; it goes on"
    return f"the work after the rollback takes longer than {times.after_s / 60:.0f} min: escalate; it goes on"
