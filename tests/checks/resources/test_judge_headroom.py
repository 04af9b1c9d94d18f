"""What was left at the busiest time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_deploygate.checks.resources.facts import Point, Use, Used
from pytest_deploygate.checks.resources.judge import judge_headroom, of_headroom
from pytest_deploygate.checks.resources.section import Resources
from pytest_deploygate.model import Judgement, Verdict

HOUR = 3600.0
NOW = 1_796_000_000.0
WINDOW, STEP = 12 * HOUR, 120.0


def judged(course: Callable[[float], float | None], limit: float = 100.0, **more) -> Judgement:
    given = {"name": "memory", "kind": "memory"} | more
    wanted = Resources.model_validate({"watched": [given]})
    points = tuple(
        Point(NOW - WINDOW + n * STEP, course(n * STEP), limit) for n in range(int(WINDOW / STEP) + 1)
    )
    found = Used(given["name"], "series", NOW, WINDOW, STEP, (Use("{db1}", points, 10.0),))
    return judge_headroom(found, of_headroom(wanted, wanted.watched[0]))


def test_enough_left_at_the_busiest_time_passes_and_says_when_that_was() -> None:
    found = judged(lambda at: 75.0 if at == 3 * HOUR else 50.0)
    assert found.verdict is Verdict.PASS
    assert "at most 75 %" in found.reason


def test_one_busy_moment_of_memory_is_too_much() -> None:
    found = judged(lambda at: 93.0 if at == 3 * HOUR else 50.0)
    assert found.verdict is Verdict.FAIL
    assert "93 % of 100 B was used" in found.reason
    assert "limit 80 %" in found.reason


def test_processors_may_be_busy_for_five_per_cent_of_the_time() -> None:
    assert judged(lambda at: 100.0 if at < 0.5 * HOUR else 50.0, kind="cpu").verdict is Verdict.PASS
    found = judged(lambda at: 100.0 if at < HOUR else 50.0, kind="cpu")
    assert found.verdict is Verdict.FAIL
    assert "for more than 5% of the time" in found.reason


def test_half_of_the_window_must_have_been_seen() -> None:
    assert judged(lambda at: 50.0 if at > 7 * HOUR else None).verdict is Verdict.INCONCLUSIVE
    assert judged(lambda at: 50.0 if at > 5 * HOUR else None).verdict is Verdict.PASS
    # What was seen is enough for a failure.
    assert judged(lambda at: 95.0 if at > 7 * HOUR else None).verdict is Verdict.FAIL


@pytest.mark.parametrize(("share", "verdict"), [(5.0, Verdict.PASS), (15.0, Verdict.FAIL)])
def test_throttling_has_its_own_limit(share: float, verdict: Verdict) -> None:
    found = judged(lambda _: share, kind="throttling")
    assert found.verdict is verdict
    assert "of its periods were throttled" in found.reason
