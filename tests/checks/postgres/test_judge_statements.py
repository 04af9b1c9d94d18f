"""Judges of pg_stat_statements: that it counts, and which statements are slow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

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


def test_p99_is_estimated_and_never_over_the_maximum():
    """A log-normal distribution with mean 5 and deviation 5 has a p99 of about 24; with few calls it is the maximum."""
    assert judge_statements.p99_ms(FAST) == pytest.approx(24.5, abs=1)
    assert judge_statements.p99_ms(replace(FAST, max_ms=10.0)) == 10.0
    assert judge_statements.p99_ms(replace(FAST, calls=20)) == 900.0


@pytest.mark.parametrize(
    ("facts", "more", "verdict", "words"),
    [
        (FACTS, {}, Verdict.PASS, "1 statements, none over"),
        (replace(FACTS, statements=(FAST, SLOW)), {}, Verdict.FAIL, "SELECT slow (app: 1000 calls"),
        (replace(FACTS, statements=(FAST, replace(SLOW, calls=2))), {}, Verdict.PASS, "none over"),
        (replace(FACTS, statements=(FAST, replace(SLOW, role="gate"))), {}, Verdict.PASS, "none over"),
        (replace(FACTS, statements=(FAST, SLOW)), {"allowed": [{"contains": "SELECT slow", "reason": "a nightly report"}]},
         Verdict.PASS, "except 1 allowed"),
        (replace(FACTS, statements=(FAST, replace(FAST, calls=10))), {}, Verdict.FAIL, "p99 about 0.9 s"),
        (replace(FACTS, statements=()), {}, Verdict.INCONCLUSIVE, "holds no statement"),
        (replace(FACTS, hidden=4), {}, Verdict.INCONCLUSIVE, "4 are hidden"),
        (FACTS, {"min_since": "2d"}, Verdict.INCONCLUSIVE, "reset 24 h ago"),
    ],
)  # fmt: skip
def test_slow_statements(facts, more, verdict, words):
    found = judge_statements.judge_slow(facts, Statements.model_validate(more))
    assert found.verdict is verdict, found.reason
    assert words in found.reason
