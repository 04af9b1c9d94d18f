"""One side only: both, none, the wrong one, and what is unknown, from facts alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.schedulers.facts import At, Seen, Sides, State
from pytest_deploygate.checks.schedulers.judge import judge
from pytest_deploygate.checks.schedulers.section import Scheduler
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
UNIT = {"unit": "beat.service"}
DATABASE = {"host": "db1", "name": "app", "user": "gate"}
RUN = {"query": "SELECT max(at) FROM runs", "database": DATABASE, "fresh": "1m"}


def scheduler(new: object = UNIT, old: object = UNIT, **more: object) -> Scheduler:
    new, old = (each if isinstance(each, list) else [each] for each in (new, old))
    return Scheduler.model_validate({"name": "reports", "new": new, "old": old} | more)


def at(*states: State | Seen, source: str = "", what: str = "unit beat.service") -> At:
    reads = tuple(each if isinstance(each, Seen) else Seen(each, each.value) for each in states)
    return At(what, reads * 2 if len(reads) == 1 else reads, source)


def ran(seconds_ago: float) -> Seen:
    return Seen(State.TIMED, f"ran {seconds_ago:g} s ago", NOW - timedelta(seconds=seconds_ago), NOW)


def sides(new: At, old: At, cutover: datetime | None = None) -> Sides:
    return Sides((new,), (old,), cutover, 2.0)


@pytest.mark.parametrize(
    ("new", "old", "verdict", "words"),
    [
        (State.RUNS, State.STILL, Verdict.PASS, "runs on the new side"),
        (State.RUNS, State.RUNS, Verdict.FAIL, "runs on both sides, so its work is done twice"),
        (State.STILL, State.STILL, Verdict.FAIL, "reports runs nowhere"),
        (State.STILL, State.RUNS, Verdict.FAIL, "runs on the old side and not on the new"),
        (State.UNKNOWN, State.RUNS, Verdict.FAIL, "runs on the old side, where it must not"),
        (State.STILL, State.UNKNOWN, Verdict.FAIL, "does not run on the new side"),
        (State.ABSENT, State.STILL, Verdict.FAIL, "runs nowhere"),
        (State.UNKNOWN, State.STILL, Verdict.INCONCLUSIVE, "whether the new side runs reports is unknown"),
        (State.RUNS, State.UNKNOWN, Verdict.INCONCLUSIVE, "whether the old side runs reports is unknown"),
        (State.RUNS, State.ABSENT, Verdict.INCONCLUSIVE, "`gone: true` if it was removed on purpose"),
    ],
)
def test_each_combination_of_both_sides(new, old, verdict, words):
    found = judge(sides(at(new), at(old)), scheduler())
    assert (found.verdict, words in found.reason) == (verdict, True), found.reason


def test_before_the_cutover_the_old_side_must_run_it():
    assert judge(sides(at(State.STILL), at(State.RUNS)), scheduler(runs_on="old")).verdict is Verdict.PASS
    found = judge(sides(at(State.RUNS), at(State.RUNS)), scheduler(runs_on="old"))
    assert "on the new side: unit beat.service" in found.reason


def test_what_was_removed_on_purpose_is_no_question():
    wanted = scheduler(old=UNIT | {"gone": True})
    assert judge(sides(at(State.RUNS), at(State.ABSENT)), wanted).verdict is Verdict.PASS


def test_a_run_in_one_of_two_reads_counts_against_the_other_side():
    found = judge(sides(at(State.RUNS), at(State.RUNS, State.STILL)), scheduler())
    assert found.verdict is Verdict.FAIL
    found = judge(sides(at(State.RUNS, State.STILL), at(State.STILL)), scheduler())
    assert (found.verdict, "changed between two reads" in found.reason) == (Verdict.INCONCLUSIVE, True)


@pytest.mark.parametrize(
    ("new", "old", "cutover_s", "verdict", "words"),
    [
        (10, 4000, 3600, Verdict.PASS, "(`fresh` is 60 s)"),
        (10, 3000, 3600, Verdict.FAIL, "after the cutover"),
        (10, 30, 20, Verdict.PASS, "stands still on the old"),
        (10, 30, None, Verdict.INCONCLUSIVE, "set `rollback.cutover`"),
        (10, 300, None, Verdict.PASS, "stands still"),
        (90, 4000, 3600, Verdict.FAIL, "reports runs nowhere"),
        (-60, 4000, 3600, Verdict.INCONCLUSIVE, "a clock is wrong"),
        (10, -60, 3600, Verdict.INCONCLUSIVE, "a clock is wrong"),
    ],
)
def test_the_last_run_of_each_side(new, old, cutover_s, verdict, words):
    cutover = NOW - timedelta(seconds=cutover_s) if cutover_s is not None else None
    found = judge(sides(at(ran(new)), at(ran(old)), cutover), scheduler(RUN, RUN))
    assert (found.verdict, words.lower() in found.reason.lower()) == (verdict, True), found.reason


def test_a_run_between_two_reads_is_a_run():
    """However long ago it may be by the limit, and whatever the cutover is."""
    found = judge(sides(at(ran(5)), at(ran(90), ran(61))), scheduler(RUN, RUN))
    assert found.verdict is Verdict.FAIL
    assert found.confirmed


def test_all_places_must_show_it_unless_one_is_enough():
    both = [UNIT, {"process": "celery"}]
    found = Sides((at(State.STILL), at(State.RUNS)), (at(State.STILL),), None, 2.0)
    assert judge(found, scheduler(both)).verdict is Verdict.FAIL
    assert judge(found, scheduler(both, one_is_enough=True)).verdict is Verdict.PASS
    none = Sides((at(State.STILL), at(State.STILL)), (at(State.STILL),), None, 2.0)
    assert judge(none, scheduler(both, one_is_enough=True)).verdict is Verdict.FAIL


def test_a_consumer_of_neither_side_is_unknown():
    queue = {"rabbitmq": {"url": "http://127.0.0.1:1", "queue": "orders"}}
    wanted = scheduler(queue | {"members": ["10.1.*"]}, queue | {"members": ["10.2.*"]})
    new = Seen(State.RUNS, "one", strangers=("10.2.0.1", "10.3.0.1"))
    old = Seen(State.STILL, "none", strangers=("10.1.0.1", "10.3.0.1"))
    found = judge(sides(at(new, source="orders"), at(old, source="orders")), wanted)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "10.3.0.1 consume there and are of neither side" in found.reason
    assert "10.2.0.1" not in found.reason


def test_a_unit_that_a_restart_would_start_is_a_note():
    old = Seen(State.STILL, "inactive (dead); it is enabled, so the host's next start starts it: disable it")
    found = judge(sides(at(State.RUNS), at(old)), scheduler())
    assert (found.verdict, "disable it" in found.notes[0]) == (Verdict.PASS, True)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({}, "exactly one of"),
        ({"query": "SELECT 1"}, "name the `database`"),
        ({"schedule": {"pg_cron": "x"}}, "name the `database`"),
        ({"unit": "x.service", "database": DATABASE}, "`database` is that of"),
        ({"unit": "x.service", "members": ["a"]}, "`members` are consumers"),
        ({"redis_stream": {"host": "h", "stream": "s", "group": "g"}}, "say with `members`"),
        ({"unit": "x.service", "arguments": "beat"}, "`arguments` are those of a `process`"),
        ({"unit": "x.service", "gone": True}, "`gone` is for the side that must not run it"),
    ],
)
def test_mistakes_in_the_section(place, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        scheduler(new=place)
