"""Judges of pooling: the arithmetic of pools, a pooler, and the test under pressure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.pooling import judge as pooling
from pytest_deploygate.checks.pooling.facts import Capacity, PoolerFacts, PoolFacts, PressureFacts
from pytest_deploygate.checks.pooling.section import Pooler, Pooling, Pressure
from pytest_deploygate.drills import record as drills
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

POOLING = Pooling.model_validate(
    {"poolers": [{"name": "p", "host": "h", "roles": 2}], "direct": 5, "reserve": 5}
)
POOLER = PoolerFacts("p", 20, 40, "transaction", pools=(PoolFacts("d", "a", "transaction", 3, 0, 0.0, 3),))
CAPACITY = Capacity("db1", 60, 3, 10, (POOLER,))


def test_pools_fit_to_the_last_connection():
    assert pooling.judge_capacity(CAPACITY, POOLING).verdict is Verdict.PASS
    assert pooling.judge_capacity(replace(CAPACITY, max_connections=53), POOLING).verdict is Verdict.PASS
    found = pooling.judge_capacity(replace(CAPACITY, max_connections=52), POOLING)
    assert found.verdict is Verdict.FAIL
    assert "p 40 + direct 5 = 45 of 44" in found.reason


def test_several_poolers_add_up_and_an_unknown_one_is_inconclusive():
    two = replace(CAPACITY, poolers=(POOLER, replace(POOLER, name="q")))
    assert pooling.judge_capacity(two, POOLING).verdict is Verdict.FAIL
    dark = replace(CAPACITY, poolers=(replace(POOLER, problem="timeout"),))
    assert pooling.judge_capacity(dark, POOLING).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (POOLER, Verdict.PASS, "nobody waits"),
        (replace(POOLER, refused=True, problem="refused"), Verdict.FAIL, "p is down"),
        (replace(POOLER, problem="not allowed"), Verdict.INCONCLUSIVE, "stats_users"),
        (replace(POOLER, mode="session"), Verdict.FAIL, "uses session pooling"),
        (replace(POOLER, paused=True), Verdict.FAIL, "paused"),
        (
            replace(POOLER, pools=(PoolFacts("d", "a", "transaction", 3, 7, 4.0, 3),)),
            Verdict.FAIL,
            "7 clients of a wait",
        ),
    ],
)
def test_a_pooler(facts, verdict, words):
    found = pooling.judge_pooler(facts, Pooler.model_validate({"name": "p", "host": "h"}))
    assert found.verdict is verdict, found.reason
    assert words in found.reason


PRESSURE = PressureFacts("p", 80, 60, 20, 400, 0, "", 0.5, 20)


def pressed(facts, *, ran_now=True, **changes):
    about = {"pool size": "20"}
    record = drills.Record(
        NOW - timedelta(days=1),
        "good",
        facts,
        environment="prod",
        configuration=about,
        digest=drills.digest(about),
    )
    return drills.Evidence(
        replace(record, **changes), "", "x.json", ran_now=ran_now, configuration=about, environment="prod", now=NOW
    )  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (PRESSURE, Verdict.PASS, "80 clients (the server accepts 60) all got answers"),
        (replace(PRESSURE, failed=3, first_error="no more connections"), Verdict.FAIL, "3 of 80 clients"),
        (replace(PRESSURE, slowest_s=9.0), Verdict.FAIL, "pool of 20 is too small"),
        (replace(PRESSURE, most_servers=31), Verdict.FAIL, "31 server connections"),
        (replace(PRESSURE, clients=50), Verdict.INCONCLUSIVE, "do not exceed"),
        (replace(PRESSURE, answers=2), Verdict.INCONCLUSIVE, "only 2 answers"),
        (replace(PRESSURE, most_servers=None), Verdict.INCONCLUSIVE, "pg_monitor"),
    ],
)
def test_pressure(facts, verdict, words):
    found = pooling.judge_pressure(pressed(facts), Pressure(clients=80))
    assert found.verdict is verdict, found.reason
    assert words in found.reason


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({}, Verdict.PASS, "; on record, 2026-02-28 12:00 UTC"),
        ({"date": NOW - timedelta(days=100)}, Verdict.INCONCLUSIVE, "is 100 d old, limit 90 d"),
        ({"date": NOW + timedelta(days=1)}, Verdict.INCONCLUSIVE, "in the future"),
        ({"environment": "staging"}, Verdict.INCONCLUSIVE, "was run in 'staging', this is 'prod'"),
        ({"configuration": {"pool size": "50"}, "digest": "x"}, Verdict.INCONCLUSIVE, "pool size was '50', is '20'"),
        ({"outcome": "failed", "reason": "timeout"}, Verdict.FAIL, "failed: timeout"),
    ],
)  # fmt: skip
def test_pressure_on_record(changes, verdict, words):
    found = pooling.judge_pressure(pressed(PRESSURE, ran_now=False, **changes), Pressure(clients=80))
    assert found.verdict is verdict, found.reason
    assert words in found.reason
    missing = replace(pressed(PRESSURE), record=None, problem="there is no record of p in x.json")
    said = pooling.judge_pressure(missing, Pressure(clients=80))
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "opt_in: prod" in said.reason


def test_what_a_pressure_test_leaves_behind_is_named():
    now = pooling.judge_pressure(pressed(PRESSURE), Pressure(clients=80))
    assert "keeps up to 20 idle server connections" in " ".join(now.notes)
    then = pooling.judge_pressure(pressed(PRESSURE, ran_now=False), Pressure(clients=80))
    assert "left behind" not in " ".join(then.notes)


def test_a_busy_machine_is_not_a_small_pool():
    """3.06 s of a limit of 3 s, while others had the processors: inconclusive, also if clients waited in vain."""
    expected = Pressure.model_validate({"clients": 80, "answer_within": "3s"})
    crowded = OwnLag(over_s=3.06, late_s=0.1, cpu_s=0.4, runnable=3.0, processors=2)
    late = replace(PRESSURE, slowest_s=3.06, lag=crowded)
    found = pooling.judge_pressure(pressed(late), expected)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "4.0 tasks wanted the 2 processors" in found.reason
    assert not [reading.name for reading in found.readings if reading.ok is False]
    in_vain = replace(late, failed=3, silent=3, first_error="connection timeout expired")
    assert (
        pooling.judge_pressure(pressed(in_vain, outcome="failed"), expected).verdict is Verdict.INCONCLUSIVE
    )
    for facts in (
        replace(late, lag=OwnLag()),
        replace(late, slowest_s=12.0),
        replace(late, failed=3, silent=0, first_error="too many clients"),
    ):
        outcome = "failed" if facts.failed else "good"
        assert pooling.judge_pressure(pressed(facts, outcome=outcome), expected).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("lag", "verdict"),
    [
        # Our own process had the processors for itself, or more than enough of them: the pool is slow.
        (OwnLag(over_s=3.06, late_s=0.0, cpu_s=0.1, runnable=0.5, processors=2), Verdict.FAIL),
        (OwnLag(over_s=3.06, late_s=0.0, cpu_s=0.1, runnable=3.0, processors=16), Verdict.FAIL),
        # Our own timers came late by more than what is over the limit.
        (OwnLag(over_s=3.06, late_s=1.0, cpu_s=0.1, runnable=1.0, processors=2), Verdict.INCONCLUSIVE),
        # More tasks than processors.
        (OwnLag(over_s=3.06, late_s=0.1, cpu_s=0.4, runnable=9.0, processors=4), Verdict.INCONCLUSIVE),
    ],
)
def test_how_busy_the_machine_was(lag, verdict):
    expected = Pressure.model_validate({"clients": 80, "answer_within": "3s"})
    found = pooling.judge_pressure(pressed(replace(PRESSURE, slowest_s=3.06, lag=lag)), expected)
    assert found.verdict is verdict, found.reason
