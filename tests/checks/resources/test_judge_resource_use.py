"""What is used now and when it is used up: the course decides, and what was not seen is unknown."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Callable

import pytest

from pytest_deploygate.checks.resources.facts import Happened, Point, Use, Used
from pytest_deploygate.checks.resources.judge import judge_use, of_use
from pytest_deploygate.checks.resources.section import Resources
from pytest_deploygate.model import Judgement, Series, Verdict

HOUR = 3600.0
NOW = 1_796_000_000.0
WINDOW, STEP = 6 * HOUR, 60.0
GB = 2.0**30
Course = Callable[[float], float | None]


def resources(window: str = "6h", horizon: str = "12h", **more) -> Resources:
    watched = {"name": "disks", "kind": "disk"} | more
    return Resources.model_validate({"window": window, "horizon": horizon, "watched": [watched]})


def use(course: Course, limit: float | None = 500.0, age_s: float | None = 5.0, of: str = "{d}") -> Use:
    """A series; `course` takes the seconds since the window began, and returns what is used in GB."""
    points = []
    for n in range(int(WINDOW / STEP) + 1):
        used = course(n * STEP)
        points.append(
            Point(
                NOW - WINDOW + n * STEP,
                None if used is None else used * GB,
                None if limit is None else limit * GB,
            )
        )
    return Use(of, tuple(points), age_s)


def used(*uses: Use, **more) -> Used:
    return Used("disks", "node_filesystem_avail_bytes", NOW, WINDOW, STEP, uses, **more)


def judged(*courses: Course | Use, wanted: Resources | None = None, **more) -> Judgement:
    wanted = wanted or resources()
    uses = [c if isinstance(c, Use) else use(c, of=f"{{d{n}}}") for n, c in enumerate(courses)]
    return judge_use(used(*uses, **more), of_use(wanted, wanted.watched[0]))


def test_a_steady_disk_passes_and_says_how_full_it_is() -> None:
    found = judged(lambda _: 300.0)
    assert found.verdict is Verdict.PASS
    assert "60 % of 500 GB is used" in found.reason
    assert "none is used up within 12 h" in found.reason


def test_a_disk_that_fills_within_hours_fails_with_the_interval() -> None:
    chance = random.Random(7)
    found = judged(lambda at: 180 + 30 * at / HOUR + chance.gauss(0, 2))
    assert found.verdict is Verdict.FAIL
    assert found.confirmed
    assert "is used up in" in found.reason
    assert "an hour for 6 h" in found.reason
    assert "free space or extend the disk" in found.reason


def test_the_same_growth_beyond_the_horizon_passes() -> None:
    assert judged(lambda at: 180 + 10 * at / HOUR).verdict is Verdict.PASS


def test_a_full_disk_fails_though_it_does_not_grow() -> None:
    found = judged(lambda _: 460.0)
    assert found.verdict is Verdict.FAIL
    assert "92 % of 500 GB is used, limit 90 %" in found.reason


def test_more_than_usual_may_be_used_but_that_is_said() -> None:
    found = judged(lambda _: 460.0, wanted=resources(most=95))
    assert found.verdict is Verdict.PASS
    assert found.notes == ("95 % of it may be used now, which is more than the usual 90 %",)


@pytest.mark.parametrize(("steps", "verdict"), [(3, Verdict.PASS), (30, Verdict.INCONCLUSIVE)])
def test_a_limit_of_long_ago_is_unknown(steps: int, verdict: Verdict) -> None:
    """What is used is scraped, and what tells its limit is not any more."""
    known = use(lambda _: 300.0)
    points = [*known.points[:-steps], *(dataclasses.replace(p, limit=None) for p in known.points[-steps:])]
    found = judged(dataclasses.replace(known, points=tuple(points)))
    assert found.verdict is verdict, found.reason
    if verdict is Verdict.INCONCLUSIVE:
        assert "its limit has no samples since 2026-" in found.reason


def test_a_spike_of_a_minute_is_not_what_is_used_now() -> None:
    assert judged(lambda at: 470.0 if at == WINDOW else 300.0).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "course",
    [
        lambda at: 300 + at % 1200 / 1200 * 50,
        lambda at: 300 + (at + 600) % 1200 / 1200 * 50,
        lambda at: 350 - at % 1200 / 1200 * 50,
        lambda at: 300 + (5 if at > 5.5 * HOUR else 0),
        lambda at: 300 + (at // 2400),
        lambda at: 300 + (40 if 4 * HOUR < at < 4.2 * HOUR else 0),
    ],
    ids=["rotation", "rotation at its half", "compaction", "a step", "segments", "a temporary file"],
)
def test_ups_and_downs_and_steps_are_no_trend(course: Course) -> None:
    found = judged(course)
    assert found.verdict is Verdict.PASS, found.reason


def test_a_trend_below_a_sawtooth_is_seen() -> None:
    found = judged(lambda at: 280 + at % 1200 / 1200 * 20 + 20 * at / HOUR)
    assert found.verdict is Verdict.FAIL, found.reason


def test_growth_since_ten_minutes_is_no_pass() -> None:
    """A line through the whole window would hardly rise: the end of it tells."""
    found = judged(lambda at: 300 + max(0.0, 40 * (at - 5.8333 * HOUR) / HOUR))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "would be used up in" in found.reason
    assert "too short to tell" in found.reason
    assert "run this again after" in found.reason


def test_growth_since_an_hour_that_fills_it_within_the_hour_fails() -> None:
    found = judged(lambda at: 300 + max(0.0, 120 * (at - 4.9 * HOUR) / HOUR))
    assert found.verdict is Verdict.FAIL, found.reason


def test_one_fall_before_does_not_hide_new_growth() -> None:
    """Somebody cleaned up once: whether somebody will again is unknown."""
    found = judged(lambda at: 400 - at / HOUR if at < HOUR else 300 + max(0.0, 60 * (at - 5 * HOUR) / HOUR))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "it came down by as much once" in found.reason


def test_an_uneven_course_within_the_horizon_is_inconclusive() -> None:
    """One and a bit of a cycle of five hours: a window shorter than the cycle tells nothing."""
    found = judged(lambda at: 420 + at % (5 * HOUR) / (5 * HOUR) * 50, wanted=resources(most=98))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "it came down by as much once" in found.reason
    found = judged(lambda at: 430 + 30 * math.sin(at * math.pi / (2 * HOUR)), wanted=resources(most=98))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "or never" in found.reason
    assert "use a longer window" in found.reason


def test_absent_and_stale_series_are_named_and_unknown() -> None:
    stale, gone = use(lambda _: 300.0, age_s=300, of="{a}"), use(lambda _: 300.0, age_s=None, of="{b}")
    found = judged(stale, gone, lambda _: 300.0)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "{a}: its newest sample is 5 min old (limit 2 min)" in found.reason
    assert "{b}: has no samples since 2026-" in found.reason


def test_an_ended_container_is_a_note_and_the_others_count() -> None:
    gone = use(lambda _: 300.0, age_s=None, of="{old}")
    wanted = resources(replaced=True)
    assert judged(gone, lambda _: 300.0, wanted=wanted).notes == ("{old} ended and was not judged",)
    found = judged(gone, wanted=wanted)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "0 series are there now, at least 1 must be" in found.reason


def test_a_container_whose_target_is_down_has_not_ended() -> None:
    gone = dataclasses.replace(use(lambda _: 300.0, age_s=None, of="{old}"), silent="kubelet node2:10250")
    found = judged(gone, lambda _: 300.0, wanted=resources(replaced=True))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (
        "the scrapes of kubelet node2:10250 fail, so it may go on unseen: repair that target" in found.reason
    )
    assert not found.notes


def test_fewer_series_than_required_are_unknown() -> None:
    assert judged(lambda _: 300.0, wanted=resources(least=2)).verdict is Verdict.INCONCLUSIVE


def test_a_missing_instance_is_named() -> None:
    found = judged(lambda _: 300.0, lacking=("db3:9100",))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "for db3:9100" in found.reason


@pytest.mark.parametrize("off_s", [90.0, -90.0])
def test_a_clock_that_is_off_is_named(off_s: float) -> None:
    found = judged(lambda _: 300.0, clock_off_s=off_s)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "clock is 90 s" in found.reason


def test_a_short_history_is_too_short() -> None:
    found = judged(lambda at: None if at < 5 * HOUR else 300.0)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "was seen for 60 min only" in found.reason
    assert "run this again after" in found.reason


def test_gaps_are_unknown_and_drawn_as_gaps() -> None:
    found = judged(lambda at: None if 2 * HOUR < at < 3.5 * HOUR else 300.0)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "has no samples for 25% of the time" in found.reason
    (figure,) = found.figures
    assert isinstance(figure, Series)
    assert any(value is None for _, value in figure.lines[0].points)


def test_no_limit_is_no_pass() -> None:
    found = judged(use(lambda _: 300.0, limit=None))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "has no series of its limit" in found.reason
    assert judged(use(lambda _: 300.0, limit=0.0)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("limit", [0.0, 9223372036854771712 / GB, float("inf")])
def test_a_container_without_a_limit_is_unknown(limit: float) -> None:
    """cAdvisor says 0 or the largest number for a container that has no limit."""
    found = judged(use(lambda _: 1.0, limit=limit), wanted=resources(kind="container-memory"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "limit" in found.reason


@pytest.mark.parametrize("limit", [9223372036854775807 / GB, float("inf")])
def test_handles_without_a_limit_cannot_be_used_up(limit: float) -> None:
    """The largest number stands for no limit; the picture then has none, and can be kept."""
    found = judged(use(lambda at: 300 + at, limit=limit), wanted=resources(kind="host-file-handles"))
    assert found.verdict is Verdict.PASS
    assert "% of what has no limit is used" in found.reason
    (figure,) = found.figures
    assert isinstance(figure, Series)
    assert figure.limit is None
    json.dumps(dataclasses.asdict(figure), allow_nan=False)


def test_values_that_are_no_numbers_are_unknown() -> None:
    odd = Use("{d}", use(lambda _: 300.0).points, 5.0, odd=3)
    assert "no finite numbers" in judged(odd).reason


def test_a_disk_that_became_read_only_fails() -> None:
    found = judged(lambda _: 300.0, happened=(Happened("{/data}", "is mounted read-only", 1),))
    assert found.verdict is Verdict.FAIL
    assert "{/data}: is mounted read-only" in found.reason


def test_a_disk_that_the_exporter_cannot_read_is_unknown() -> None:
    hidden = Happened("{/data}", "cannot be read by the exporter", 1, hides=True)
    assert judged(lambda _: 300.0, happened=(hidden,)).verdict is Verdict.INCONCLUSIVE


def test_processors_are_judged_by_their_mean_and_have_no_trend() -> None:
    wanted = resources(kind="cpu")
    assert judged(lambda at: 100 + 390 * at / WINDOW, wanted=wanted).verdict is Verdict.FAIL
    assert judged(lambda at: 100 + 300 * at / WINDOW, wanted=wanted).verdict is Verdict.PASS
    assert judged(lambda at: 500.0 if at == WINDOW else 200.0, wanted=wanted).verdict is Verdict.PASS


def test_a_container_that_was_idle_was_not_throttled() -> None:
    wanted = resources(kind="throttling")
    assert judged(use(lambda _: 0.0, limit=0.0), wanted=wanted).verdict is not Verdict.FAIL


def test_a_failure_has_the_course_and_its_two_ends_as_a_picture() -> None:
    found = judged(lambda at: 180 + 30 * at / HOUR)
    (figure,) = found.figures
    assert isinstance(figure, Series)
    assert (figure.unit, figure.limit) == ("GB", 500.0)
    assert [line.name for line in figure.lines] == ["used", "at the earliest", "at the latest"]


def test_many_series_with_the_same_trouble_are_one_sentence() -> None:
    found = judged(*(use(lambda _: 300.0, limit=None, of=f"{{{n}}}") for n in range(500)))
    assert "and 497 more" in found.reason
    assert len(found.reason) < 400
    assert len(found.readings) <= 10


def test_wandering_memory_is_rarely_held_up() -> None:
    """An autocorrelated load without a trend: not one false failure, and few that cannot be told."""
    chance, verdicts = random.Random(3), []
    for _ in range(60):
        value, course = 0.0, []
        for _ in range(int(WINDOW / STEP) + 1):
            value = 0.98 * value + chance.gauss(0, 2)
            course.append(300 + value)
        verdicts.append(judged(lambda at, c=course: c[int(at / STEP)]).verdict)
    assert Verdict.FAIL not in verdicts
    assert verdicts.count(Verdict.INCONCLUSIVE) <= 4
