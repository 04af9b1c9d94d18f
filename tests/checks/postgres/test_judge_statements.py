"""Judges of pg_stat_statements: that it counts, and which statements are slow."""

from __future__ import annotations

import statistics
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.postgres.facts import MonitoringFacts, Statement, StatementFacts
from pytest_deploygate.checks.postgres.judge import statements as judge_statements
from pytest_deploygate.checks.postgres.section.statements import Monitoring, Statements
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONITORING = MonitoringFacts("db1", True, True, "public", "top", 2, 250, -1)


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (MONITORING, Verdict.PASS, "counts"),
        (replace(MONITORING, loaded=False), Verdict.FAIL, "not loaded"),
        (replace(MONITORING, installed=False), Verdict.FAIL, "CREATE EXTENSION"),
        (replace(MONITORING, track="none"), Verdict.FAIL, "track is none"),
        (replace(MONITORING, counted=0), Verdict.FAIL, "counted 0 of 2"),
        (replace(MONITORING, counted=None, problem="forbidden"), Verdict.INCONCLUSIVE, "forbidden"),
        (replace(MONITORING, slow_log_ms=-1), Verdict.FAIL, "log_min_duration_statement is -1"),
        (replace(MONITORING, slow_log_ms=60000), Verdict.FAIL, "limit 5 s"),
        (replace(MONITORING, slow_log_ms=-1, explain_ms=1000), Verdict.PASS, "logged"),
    ],
)
def test_monitoring(facts, verdict, words):
    found = judge_statements.judge_monitoring(facts, Monitoring())
    assert found.verdict is verdict, found.reason
    assert words in found.reason


FAST = Statement(1, "app", "SELECT 1", 1000, 5.0, 5.0, 900.0, 5000.0)
SLOW = Statement(2, "app", "SELECT slow", 1000, 400.0, 10.0, 450.0, 4e5)
FACTS = StatementFacts("db1", NOW, NOW - timedelta(days=1), 0, "gate", 0, (FAST,))


def statement(times: list[float]) -> Statement:
    """What pg_stat_statements would keep of these times."""
    mean, deviation = statistics.fmean(times), statistics.pstdev(times)
    return Statement(1, "app", "SELECT 1", len(times), mean, deviation, max(times), sum(times))


@given(st.lists(st.floats(0.01, 5000), min_size=1, max_size=300), st.floats(1, 4000))
def test_the_bounds_hold_for_any_times(times: list[float], limit: float) -> None:
    """The true number of calls over a limit lies between the bounds."""
    least, most = judge_statements.calls_over(statement(times), limit)
    assert least <= sum(each > limit * (1 + 1e-9) for each in times) + (
        max(times) > limit >= max(times) * (1 - 1e-9)
    )
    assert sum(each > limit * (1 + 1e-9) for each in times) <= most


@pytest.mark.parametrize(
    ("times", "verdict"),
    [
        ([1.0] * 197 + [3000.0] * 3, Verdict.INCONCLUSIVE),
        ([1.0] * 999 + [5000.0], Verdict.PASS),
        ([1.0] * 199 + [3000.0], Verdict.PASS),
        ([1.0] * 180 + [3000.0] * 20, Verdict.FAIL),
        ([5.0] * 1000, Verdict.PASS),
        ([499.0] * 300, Verdict.FAIL),
        ([100.0] * 50 + [600.0], Verdict.FAIL),
        ([1.0, 300.0] * 500, Verdict.PASS),
        ([150.0] * 99 + [501.0], Verdict.PASS),
        ([10.0] * 990 + [800.0] * 10, Verdict.INCONCLUSIVE),
    ],
)
def test_a_p99_is_bounded_not_guessed(times: list[float], verdict: Verdict) -> None:
    """Mean limit 200 ms, p99 limit 500 ms; a verdict that is not inconclusive agrees with the true quantile."""
    found = judge_statements.judge_slow(replace(FACTS, statements=(statement(times),)), Statements())
    assert found.verdict is verdict, found.reason
    if verdict is Verdict.PASS:
        assert sum(t > 500 for t in times) <= len(times) * 0.01
    if verdict is Verdict.INCONCLUSIVE:
        assert "cannot be told from mean and deviation" in found.reason


def test_short_statistics_and_settings_of_a_role_are_named() -> None:
    found = judge_statements.judge_slow(replace(FACTS, since=NOW - timedelta(minutes=1)), Statements())
    assert "cover 60 s only" in found.notes[0] or "cover 1 min only" in found.notes[0]
    said = judge_statements.judge_monitoring(
        replace(MONITORING, own_settings=(("role app", "pg_stat_statements.track=none"),)), Monitoring()
    )
    assert "role app has its own pg_stat_statements.track=none" in said.notes[0]


@pytest.mark.parametrize(
    ("facts", "more", "verdict", "words"),
    [
        (FACTS, {}, Verdict.PASS, "1 statements, none over"),
        (replace(FACTS, statements=(FAST, SLOW)), {}, Verdict.FAIL, "SELECT slow (app: 1000 calls"),
        (replace(FACTS, statements=(FAST, replace(SLOW, calls=2))), {}, Verdict.PASS, "none over"),
        (replace(FACTS, statements=(FAST, replace(SLOW, role="gate"))), {}, Verdict.PASS, "none over"),
        (replace(FACTS, statements=(FAST, SLOW)), {"allowed": [{"contains": "SELECT slow", "reason": "a nightly report"}]},
         Verdict.PASS, "except 1 allowed"),
        (replace(FACTS, statements=(FAST, replace(FAST, calls=10))), {}, Verdict.FAIL, "slowest 0.9 s"),
        (replace(FACTS, statements=()), {}, Verdict.INCONCLUSIVE, "holds no statement"),
        (replace(FACTS, hidden=4), {}, Verdict.INCONCLUSIVE, "4 are hidden"),
        (FACTS, {"min_since": "2d"}, Verdict.INCONCLUSIVE, "reset 24 h ago"),
    ],
)  # fmt: skip
def test_slow_statements(facts, more, verdict, words):
    found = judge_statements.judge_slow(facts, Statements.model_validate(more))
    assert found.verdict is verdict, found.reason
    assert words in found.reason
