"""An aggregate passes if it is scheduled, refreshed in time, and equals its raw rows in every compared bucket."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.aggregates.facts import AggregateFacts, Comparison, Difference
from pytest_deploygate.checks.aggregates.judge import judge
from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.checks.jobs.facts import ScheduleFacts
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 4, 12, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
EXPECTED = Aggregate.model_validate(
    {
        "relation": "a.hourly", "bucket": "bucket", "width": "1h", "key": ["k"], "recompute": "SELECT", "source": "a.raw",
        "time_column": "at", "refreshed": "SELECT", "max_age": "30m",
        "schedule": {"crontab": "/etc/cron.d/x", "command": "r"},
    }
)  # fmt: skip
COMPARED = Comparison(NOW - 720 * HOUR, NOW, 720, 720, 2880, 0, 0, 0, ())
GOOD = AggregateFacts(
    "a.hourly", NOW, None, ScheduleFacts("crontab", "/etc/cron.d/x", expressions=("* * * * *",)),
    NOW - timedelta(minutes=1), NOW - timedelta(minutes=2), datetime(2026, 3, 4, 12, tzinfo=UTC), COMPARED,
)  # fmt: skip


def compared(state: str, **more) -> AggregateFacts:
    example = Difference(state, NOW - 99 * HOUR, "k=5", {"n": 11}, {"n": 12})
    return replace(GOOD, comparison=replace(COMPARED, **{state: 1}, examples=(example,), **more))


def test_all_good_passes():
    found = judge(GOOD, EXPECTED)
    assert found.verdict is Verdict.PASS
    assert "2880 rows in 720 buckets equal a recomputation (all compared)" in found.reason


def test_a_sample_is_said_in_reason_and_note():
    found = judge(replace(GOOD, comparison=replace(COMPARED, buckets=100)), EXPECTED)
    assert found.verdict is Verdict.PASS
    assert "100 of 720 buckets" in found.reason
    assert "raise max_buckets" in found.notes[0]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(GOOD, absent="a.hourly"), ["a.hourly does not exist"]),
        (replace(GOOD, absent="a.raw"), ["a.raw does not exist"]),
        (replace(GOOD, refreshed_at=None), ["never refreshed"]),
        (replace(GOOD, refreshed_at=NOW - 3 * HOUR), ["last refresh of a.hourly was 3 h ago (limit 30 min)"]),
        (replace(GOOD, newest_bucket=NOW - 5 * HOUR), ["past the newest bucket (limit 30 min)"]),
        (replace(GOOD, newest_bucket=None), ["has no bucket"]),
        (replace(GOOD, schedule=ScheduleFacts("crontab", "/x", enabled=False, detail="line 3 is commented out")), ["switched off", "line 3"]),
        (compared("different"), ["1 of 2880 rows differ", "1 different", "2026-02-28 09:10 UTC k=5 has n 11 instead of 12"]),
        (compared("missing"), ["1 missing", "k=5 is missing"]),
        (compared("extra", buckets=100), ["1 extra", "100 of 720 buckets compared"]),
    ],
)  # fmt: skip
def test_what_is_wrong_fails(facts, words):
    found = judge(facts, EXPECTED)
    assert found.verdict is Verdict.FAIL, found.reason
    for word in words:
        assert word in found.reason


@pytest.mark.parametrize(
    ("facts", "words", "deferred"),
    [
        (replace(GOOD, newest_raw=None), "run again after phase 4", "phase4"),
        (replace(GOOD, comparison=None), "no complete bucket yet", "phase4"),
        (replace(GOOD, comparison=replace(COMPARED, rows=0)), "no complete bucket yet", "phase4"),
        (replace(GOOD, schedule=None), "name it in the inventory", ""),
        (replace(GOOD, schedule=ScheduleFacts("crontab", "/x", problem="permission denied")), "permission denied", ""),
        (replace(GOOD, refreshed_at=NOW + HOUR), "in the future", ""),
        (replace(GOOD, schedule=None, comparison=None), "name it in the inventory", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_inconclusive(facts, words, deferred):
    found = judge(facts, EXPECTED)
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert words in found.reason
    assert found.deferred_to == deferred


def test_a_switched_off_schedule_fails_before_there_is_data():
    off = ScheduleFacts("crontab", "/x", found=False, detail="no line names 'r'")
    found = judge(replace(GOOD, newest_raw=None, schedule=off), EXPECTED)
    assert found.verdict is Verdict.FAIL
    assert "not scheduled" in found.reason
