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
    """What is due a number of minutes after the opening, and the incident once that is journalled."""
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
    assert elapsed_s(START, other) == 0, "never negative"
    assert elapsed_s(START, Moment(START.wall + timedelta(minutes=2), "boot-2", 5.0)) == 120


whats = st.sampled_from(What)
steps = st.lists(
    st.tuples(whats, st.floats(0, 30), st.sampled_from(["GO", "HOLD", "ROLLBACK", ""])), max_size=12
)


@given(steps)
def test_every_deadline_is_acted_on_whatever_happened_before(happened):
    """For any incident: once its deadline has passed something is due, and once journalled it is no longer due."""
    minutes, events = 0.0, [event(What.OPENED, 0, "HOLD")]
    for what, more, says in happened:
        minutes += more
        events.append(event(what, minutes, says))
    incident = all_of(events, TIMES)[-1]
    later = START.plus((minutes + 24 * 60) * MINUTE)
    found = due(incident, TIMES, later, Ask(conditions_hold=True))
    # An overrun of work in progress is journalled once; every other deadline asks somebody to act.
    overrun = incident.clock is not None and incident.clock[0] in ("roll back", "after")
    acted_on = overrun and incident.clock[0] in incident.expired
    assert bool(found) == (incident.clock is not None and not acted_on)
    done = all_of([*events, *found], TIMES)[-1]
    assert due(done, TIMES, later, Ask(conditions_hold=True)) == []


def test_red_again_after_its_deadline_is_due_at_once():
    """The clock is started once: if its end was acted on before the incident was over, it is acted on again."""
    late = due(after(), TIMES, START.plus(20 * MINUTE), NOT_YET)
    again = all_of(
        [
            event(What.OPENED, 0, "HOLD"),
            *late,
            event(What.OBSERVED, 25, "GO"),
            event(What.OPENED, 40, "ROLLBACK"),
        ],
        TIMES,
    )[-1]
    assert again.state is State.ASSESSING
    (written,) = due(again, TIMES, START.plus(41 * MINUTE), Ask(conditions_hold=True))
    assert (written.says, written.late_s) == ("ROLLBACK", 26 * MINUTE)


def test_a_fix_that_a_crash_left_open_is_asked_for_again_when_the_hold_ends():
    held = event(What.DECIDED, 5, "HOLD", by="deployment-lead")
    (written,), incident = act(held, event(What.FIX_BEGUN, 10), minutes=65)
    assert (written.what, incident.clock[0], incident.state) == (What.DEADLINE, "hold", State.FIXING)


def test_a_fix_while_somebody_holds_that_did_not_help_leaves_it_held_with_the_same_end():
    held = event(What.DECIDED, 5, "HOLD", by="deployment-lead")
    fixed = (event(What.FIX_BEGUN, 10), event(What.FIX_DONE, 11), event(What.OBSERVED, 12, "HOLD"))
    incident = after(held, *fixed)
    assert (incident.state, incident.fixes) == (State.HELD, 1)
    assert incident.left_s(START.plus(64 * MINUTE)) == MINUTE


def test_whoever_held_knowing_the_advice_is_not_overruled_by_the_same_advice():
    """A second run with ROLLBACK for the same items is not news; another red item is."""
    known = (event(What.OBSERVED, 2, "ROLLBACK"), event(What.DECIDED, 5, "HOLD", by="deployment-lead"))
    assert after(*known, event(What.OBSERVED, 6, "ROLLBACK")).state is State.HELD
    worse = after(*known, event(What.OBSERVED, 6, "ROLLBACK", items=("golive.errors",)))
    assert (worse.state, worse.left_s(START.plus(14 * MINUTE))) == (State.ASSESSING, MINUTE)


def test_a_breach_while_a_person_is_asked_is_acted_on_at_the_same_deadline():
    """Nobody has decided and a run turns from HOLD to ROLLBACK: the deadline executes it if the policy says so."""
    times = Times(execute_at_deadline=True)
    worse = event(What.OBSERVED, 12, "ROLLBACK", items=("golive.errors",))
    found, incident = act(worse, minutes=15.5, ask=Ask(True, may_return=True), times=times)
    assert [(e.what, e.by, e.late_s) for e in found] == [
        (What.DEADLINE, "deadline", 30.0),
        (What.DECIDED, "deadline", 30.0),
    ]
    assert incident.state is State.ROLLING_BACK


@pytest.mark.parametrize(
    ("may_return", "words"),
    [
        (False, "writes would be lost"),
        (None, "it is unknown whether writes would be lost, and that needs the decision of a named person"),
    ],
)
def test_a_deadline_that_must_not_execute_says_why(may_return, words):
    times = Times(execute_at_deadline=True)
    (written,), _ = act(minutes=15, ask=Ask(True, may_return), times=times)
    assert "not executed at the deadline" in written.reason
    assert words in written.reason


def test_deciding_twice_gives_no_second_half_hour():
    failed = (event(What.DECIDED, 10, "ROLLBACK"), event(What.ROLLBACK_FAILED, 20))
    incident = after(*failed, event(What.DECIDED, 25, "ROLLBACK"))
    assert (incident.state, incident.left_s(START.plus(39 * MINUTE))) == (State.ROLLING_BACK, MINUTE)


def test_a_rollback_that_was_called_off_and_decided_anew_has_its_own_clock_and_its_overrun_is_written_down():
    events = [
        event(What.DECIDED, 1, "ROLLBACK"),
        event(What.DEADLINE, 32, "HOLD", by="deadline"),
        event(What.DECIDED, 33, "HOLD"),
        event(What.DECIDED, 50, "ROLLBACK"),
    ]
    assert after(*events[:3]).state is State.HELD
    (overrun,), _ = act(*events, minutes=81)
    assert (overrun.late_s, "longer than 30 min" in overrun.reason) == (MINUTE, True)


def test_nothing_is_decided_about_what_is_over():
    assert after(event(What.OBSERVED, 1, "GO"), event(What.DECIDED, 2, "ROLLBACK")).state is State.PASSED


def watched(
    *events: Event, until: int, ask: Ask = NOT_YET, times: Times = TIMES
) -> list[tuple[float, str, str]]:
    """A watcher that checks once a minute: its records as (minute, clock, text)."""
    written: list[Event] = []
    found = []
    for minute in range(until + 1):
        happened = [e for e in events if e.at.up_s <= START.up_s + minute * MINUTE]
        everything = sorted([event(What.OPENED, 0, "HOLD"), *happened, *written], key=lambda e: e.at.up_s)
        incident = all_of(everything, times)[-1]
        for one in due(incident, times, START.plus(minute * MINUTE), ask):
            written.append(one)
            found.append((minute, incident.clock[0] if incident.clock else "", one.says))
    return found


def test_a_night_on_simulated_clocks():
    """Every deadline of a whole night is acted on once, in the minute it ends; held ones repeatedly."""
    assert watched(until=14) == []
    assert watched(until=200) == [
        (15, "decide", "HOLD"),
        (75, "hold", "HOLD"),
        (135, "hold", "HOLD"),
        (195, "hold", "HOLD"),
    ]
    rolled = (
        event(What.DECIDED, 20, "HOLD", by="deployment-lead"),
        event(What.OBSERVED, 40, "ROLLBACK", items=("golive.errors",)),
        event(What.DECIDED, 45, "ROLLBACK", by="deployment-lead"),
        event(What.ROLLED_BACK, 80),
    )
    assert watched(*rolled, until=300) == [
        (15, "decide", "HOLD"),
        (40, "decide", "HOLD"),
        (75, "roll back", "HOLD"),
        (140, "after", "HOLD"),
    ]
    assert watched(*rolled, event(What.AFTER_DONE, 130), until=300)[-1] == (75, "roll back", "HOLD")
