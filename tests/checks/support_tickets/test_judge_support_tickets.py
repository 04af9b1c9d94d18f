"""Judging tickets since go-live: limits, baselines, and counts that say nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_deploygate.checks.support_tickets import judge as of_tickets
from pytest_deploygate.checks.support_tickets.facts import SeverityCount, TicketCounts
from pytest_deploygate.checks.support_tickets.section import SupportTickets

NOW = datetime(2026, 12, 2, 8, tzinfo=UTC)
SETTINGS = SupportTickets.model_validate(
    {"hook": "count", "severities": [{"name": "blocker", "most": 0}, {"name": "major"}]}
)


def judged(*counts: tuple[str, int | None, int | None], age_h: float = 0) -> Any:
    seen = TicketCounts(
        "jira", None, NOW - timedelta(hours=age_h), NOW, tuple(SeverityCount(*one) for one in counts)
    )
    return of_tickets.judge(seen, SETTINGS)


@pytest.mark.parametrize(
    ("counts", "age_h", "verdict", "says"),
    [
        ([("blocker", 0, 0), ("major", 4, 1)], 0, "pass", "0 blocker, 4 major since go-live"),
        ([("blocker", 0, None), ("major", 0, 0)], 0, "pass", "within their limits"),
        (
            [("blocker", 1, 5), ("major", 0, 0)],
            0,
            "fail",
            "1 ticket is blocker since go-live, at most 0 may be",
        ),
        (
            [("blocker", 0, 0), ("major", 5, 1)],
            0,
            "fail",
            "5 tickets are major since go-live, at most 4 may be",
        ),
        ([("blocker", 0, 0)], 0, "inconclusive", "it does not say how many tickets are major"),
        ([("blocker", 0, 0), ("major", 4, None)], 0, "inconclusive", "it has no baseline of major"),
        ([("blocker", 0, 0), ("major", 0, 0)], 3, "inconclusive", "its counts are 3 h old"),
        ([], 0, "inconclusive", "it does not say how many tickets are blocker"),
    ],
)
def test_counts(counts: list[Any], age_h: float, verdict: str, says: str) -> None:
    found = judged(*counts, age_h=age_h)
    assert found.verdict.value == verdict
    assert says in found.reason
