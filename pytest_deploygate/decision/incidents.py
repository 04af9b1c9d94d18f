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
    `signature` is the armour of an SSH signature over a person's decision; empty: not signed.
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
    advised: str = ""  # what the newest run of the gate said
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
    """Return the incident that is not over; None when all are."""
    return next((incident for incident in reversed(all_of(events, times)) if not incident.over), None)


def _after(incident: Incident, event: Event, times: Times) -> Incident:
    """Return the incident after one more event. What does not fit the state it is in changes nothing."""
    match event.what:
        case What.OPENED:  # red again: it goes on with the clock that it had
            again = replace(incident, items=_joined(incident, event), advised=event.says)
            return _asked_again(again, times)
        case What.OBSERVED:
            return replace(_observed(incident, event, times), advised=event.says)
        case What.FIX_BEGUN if incident.state in (State.ASSESSING, State.HELD):
            return replace(incident, state=State.FIXING, fixes=incident.fixes + 1)  # its clock runs on
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
    """Start a clock: its end is still to be acted on, whatever became of an earlier clock of that name."""
    expired = tuple(name for name in incident.expired if name != clock[0])
    return replace(incident, state=state, clock=clock, expired=expired)


def _asked_again(incident: Incident, times: Times) -> Incident:
    """Put the question again, with the clock that was opened once: where that is over, its end is due at once."""
    return _timed(incident, State.ASSESSING, ("decide", incident.opened, times.decide_s))


def _joined(incident: Incident, event: Event) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*incident.items, *event.items)))


def _observed(incident: Incident, event: Event, times: Times) -> Incident:
    """A run of the gate: good ends the assessment; what turned worse while somebody holds takes the question up again."""
    if incident.state in (State.ROLLING_BACK, State.AFTER, State.ROLLBACK_FAILED, *OVER):
        return incident
    if event.says == "GO":
        return replace(incident, state=State.PASSED, clock=None)
    after = replace(incident, items=_joined(incident, event))
    if incident.clock is None or incident.clock[0] == "decide":
        return replace(after, state=State.ASSESSING)
    # Somebody holds, or nobody decided in time. Whoever held knew what the run before advised about these items.
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
            return replace(incident, state=State.ROLLING_BACK)  # decided once more: its 30 minutes run on
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
    found = [
        Event(
            incident.id, What.DEADLINE, now, "deadline", says, _why(name, says, times), late_s=max(0.0, -left)
        )
    ]
    if name == "decide" and says == "ROLLBACK" and times.execute_at_deadline:
        if ask.may_return:
            reason = "the policy says to execute at the deadline, and the conditions of ROLLBACK hold"
            found.append(
                Event(incident.id, What.DECIDED, now, "deadline", "ROLLBACK", reason, late_s=max(0.0, -left))
            )
        else:
            past = (
                "writes would be lost"
                if ask.may_return is False
                else "whether writes would be lost is not known"
            )
            found[0] = replace(
                found[0],
                reason=f"{found[0].reason}; not executed at the deadline: {past}, which needs a named person",
            )
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
