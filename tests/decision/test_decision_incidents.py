"""Incidents: simulated clocks, every deadline acted on, nothing reset by a re-run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.decision.incidents import (
    Ask,
    Event,
    State,
    Times,
    What,
    all_of,
    due,
    standing,
)
from pytest_deploygate.moments import Moment, elapsed_s

START = Moment(datetime(2026, 3, 4, 22, tzinfo=UTC), "boot-1", 1000.0)
TIMES = Times()
RED = ("golive.logins",)
MINUTE = 60.0
NOT_YET = Ask(conditions_hold=False)


def event(
    what: What, minutes: float, says: str = "", by: str = "gate", items: tuple[str, ...] = RED
) -> Event:
    return Event("incident-1", what, START.plus(minutes * MINUTE), by, says, items=items)


def after(*events: Event, times: Times = TIMES):
    return all_of([event(What.OPENED, 0, "HOLD"), *events], times)[-1]


def act(*events: Event, minutes: float, ask: Ask = NOT_YET, times: Times = TIMES):
    """What is due so many minutes after the opening, and the incident once that is written down."""
    written = [event(What.OPENED, 0, "HOLD"), *events]
    found = due(all_of(written, times)[-1], times, START.plus(minutes * MINUTE), ask)
    return found, all_of([*written, *found], times)[-1]


def test_it_opens_assessing_with_15_minutes():
    incident = after()
    assert incident.state is State.ASSESSING
    assert incident.left_s(START.plus(14 * MINUTE)) == MINUTE


def test_a_rerun_never_resets_the_clock():
    incident = after(event(What.OBSERVED, 5, "HOLD"), event(What.OBSERVED, 10, "ROLLBACK"))
    assert incident.left_s(START.plus(14 * MINUTE)) == MINUTE


def test_a_good_rerun_ends_it_and_red_again_goes_on_with_the_old_clock():
    passed = [event(What.OBSERVED, 5, "GO")]
    assert after(*passed).state is State.PASSED
    again = after(*passed, event(What.OPENED, 12, "HOLD"))
    assert again.state is State.ASSESSING
    assert again.left_s(START.plus(14 * MINUTE)) == MINUTE


def test_nothing_is_due_before_the_end_and_nothing_twice():
    assert act(minutes=14.9)[0] == []
    (written,), held = act(minutes=17)
    assert (written.what, written.by, written.says, written.late_s) == (
        What.DEADLINE,
        "deadline",
        "HOLD",
        120.0,
    )
    assert held.state is State.HELD
    assert due(held, TIMES, START.plus(18 * MINUTE), Ask(conditions_hold=False)) == []


def test_at_the_end_rollback_is_recommended_only_where_its_conditions_hold():
    assert act(minutes=15)[0][0].says == "HOLD"
    (written,), incident = act(minutes=15, ask=Ask(conditions_hold=True))
    assert written.says == incident.recommended == "ROLLBACK"
    assert incident.state is State.HELD, "recommended, not executed: that is a policy somebody must write"


@pytest.mark.parametrize(
    ("may_return", "conditions", "state"),
    [
        (True, True, State.ROLLING_BACK),
        (False, True, State.HELD),
        (None, True, State.HELD),
        (True, False, State.HELD),
    ],
)
def test_a_written_policy_executes_at_the_deadline_but_never_past_the_point_of_no_return(
    may_return, conditions, state
):
    times = Times(execute_at_deadline=True)
    assert act(minutes=15, ask=Ask(conditions, may_return), times=times)[1].state is state


def test_a_held_decision_has_a_deadline_of_its_own_again_and_again():
    held = event(What.DECIDED, 10, "HOLD", by="deployment-lead")
    assert act(held, minutes=69)[0] == []
    (first,), once = act(held, minutes=70)
    assert (first.what, once.state) == (What.DEADLINE, State.HELD)
    assert due(once, TIMES, START.plus(129 * MINUTE), Ask(conditions_hold=False)) == []
    assert len(due(once, TIMES, START.plus(130 * MINUTE), Ask(conditions_hold=True))) == 1


def test_what_turns_worse_while_somebody_holds_is_acted_on_at_once():
    held = event(What.DECIDED, 16, "HOLD", by="deployment-lead")
    worse = event(What.OBSERVED, 20, "ROLLBACK", items=("golive.errors",))
    found, incident = act(held, worse, minutes=20, ask=Ask(conditions_hold=True))
    assert [e.says for e in found] == ["ROLLBACK"]
    assert incident.items == ("golive.logins", "golive.errors")


def test_a_rollback_has_30_minutes_and_an_overrun_never_breaks_it_off():
    decided = event(What.DECIDED, 10, "ROLLBACK", by="deployment-lead")
    (overrun,), incident = act(decided, minutes=41)
    assert "longer than 30 min" in overrun.reason
    assert incident.state is State.ROLLING_BACK
    assert due(incident, TIMES, START.plus(60 * MINUTE), Ask(conditions_hold=True)) == []


def test_a_verified_rollback_has_an_hour_for_what_comes_after():
    events = [
        event(What.DECIDED, 10, "ROLLBACK"),
        event(What.ROLLED_BACK, 20),
    ]
    incident = after(*events)
    assert incident.state is State.AFTER
    assert incident.left_s(START.plus(79 * MINUTE)) == MINUTE
    assert after(*events, event(What.AFTER_DONE, 30)).state is State.ROLLED_BACK


def test_a_failed_rollback_stays_open_until_one_succeeds():
    events = [event(What.DECIDED, 10, "ROLLBACK"), event(What.ROLLBACK_FAILED, 12)]
    assert after(*events).state is State.ROLLBACK_FAILED
    assert after(*events, event(What.OBSERVED, 13, "GO")).state is State.ROLLBACK_FAILED
    assert after(*events, event(What.ROLLED_BACK, 20)).state is State.AFTER


def test_events_before_an_opening_are_no_incident():
    assert all_of([event(What.OBSERVED, 1, "HOLD")], TIMES) == []
    assert standing([], TIMES) is None


def test_the_wall_clock_may_jump_within_one_boot():
    back = Moment(START.wall - timedelta(hours=3), "boot-1", START.up_s + 90)
    assert elapsed_s(START, back) == 90
    other = Moment(START.wall - timedelta(hours=3), "boot-2", 5.0)
    assert elapsed_s(START, other) == 0, "never less than nothing"
    assert elapsed_s(START, Moment(START.wall + timedelta(minutes=2), "boot-2", 5.0)) == 120


whats = st.sampled_from([w for w in What if w is not What.OPENED])
steps = st.lists(
    st.tuples(whats, st.floats(0, 30), st.sampled_from(["GO", "HOLD", "ROLLBACK", ""])), max_size=12
)


@given(steps)
def test_every_deadline_is_acted_on_whatever_happened_before(happened):
    """However an incident came to be: once its clock is over something is due, and written down it is due no more."""
    minutes, events = 0.0, [event(What.OPENED, 0, "HOLD")]
    for what, more, says in happened:
        minutes += more
        events.append(event(what, minutes, says))
    incident = all_of(events, TIMES)[-1]
    later = START.plus((minutes + 24 * 60) * MINUTE)
    found = due(incident, TIMES, later, Ask(conditions_hold=True))
    acted_on = (
        incident.clock is not None and incident.clock[0] in incident.expired and incident.clock[0] != "hold"
    )
    assert bool(found) == (incident.clock is not None and not acted_on)
    done = all_of([*events, *found], TIMES)[-1]
    assert due(done, TIMES, later, Ask(conditions_hold=True)) == []
