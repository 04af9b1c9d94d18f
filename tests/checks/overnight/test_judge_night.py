"""The night's series against their bands: outside is red, unseen is unknown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_deploygate.checks.overnight import judge, probe
from pytest_deploygate.checks.overnight.facts import Named, Night, Watched
from pytest_deploygate.checks.overnight.section import Overnight
from pytest_deploygate.model import Judgement, Series, Verdict

START = datetime(2026, 11, 30, 22, tzinfo=UTC)
HOUR = 3600.0


def criterion(**more: Any) -> Overnight:
    series = {"name": "orders", "selector": "orders", "at_least": 20, "at_most": 90, "unit": "/min"}
    return Overnight.model_validate({"last": "8h", "series": [series | more]})


def watched(points: list[tuple[float, float]], **more: Any) -> Watched:
    return Watched("", tuple(points), 60.0, **({"gaps": ()} | more))


def even(value: float = 50.0, but: dict[int, float] | None = None) -> list[tuple[float, float]]:
    return [(60.0 * n, (but or {}).get(n, value)) for n in range(480)]


def judged(*found: Watched, **more: Any) -> Judgement:
    night = Night(START.timestamp(), START.timestamp() + 8 * HOUR, (Named("orders", found),))
    return judge.judge(night, criterion(**more))


def test_inside_of_the_band_passes() -> None:
    found = judged(watched(even()))
    assert found.verdict is Verdict.PASS
    assert found.reason == "1 series was inside of its band for 8 h, without gaps"
    assert [(reading.value, reading.limit, reading.ok) for reading in found.readings] == [
        (50, "≥ 20 /min", True),
        (50, "≤ 90 /min", True),
    ]


def test_one_sample_outside_fails_with_time_and_value() -> None:
    found = judged(watched(even(but={120: 400.0, 121: 300.0})))
    assert found.verdict is Verdict.FAIL
    assert found.confirmed
    assert (
        "orders: 400 /min at 2026-12-01 00:00:00, outside of the band 20 to 90 /min for 2 min since 2026-12-01 00:00:00"
        in found.reason
    )


def test_time_outside_may_be_tolerated() -> None:
    spike = watched(even(but={120: 400.0, 121: 300.0}))
    tolerated = judged(spike, outside_for="2m")
    assert tolerated.verdict is Verdict.PASS
    assert any(
        "outside of the band 20 to 90 /min for 2 min, 2 min may be" in note for note in tolerated.notes
    )
    assert judged(spike, outside_for="1m").verdict is Verdict.FAIL


def test_gap_is_unknown_and_drawn_as_one() -> None:
    points = [point for point in even() if not 7200 < point[0] < 9000]
    found = judged(watched(points, gaps=((7200.0, 9000.0),)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (
        "no samples from 2026-12-01 00:00:00 to 2026-12-01 00:30:00 (30 min; at most 5 min)" in found.reason
    )
    figure = found.figures[0]
    assert isinstance(figure, Series)
    assert (8100.0, None) in figure.lines[0].points
    assert (figure.least, figure.limit) == (20, 90)


def test_short_gap_is_noted() -> None:
    found = judged(watched(even(), gaps=((600.0, 840.0),)))
    assert found.verdict is Verdict.PASS
    assert "orders: 1 short gap, 4 min together" in found.notes


@pytest.mark.parametrize(
    ("series", "says"),
    [
        ((), "Prometheus has 0 series of orders in the night, 1 expected"),
        ((watched(even(), odd=(3600.0,)),), "1 value is no number, the first at 2026-11-30 23:00:00"),
        ((watched([], gaps=((0.0, 28_800.0),)),), "not one sample can be judged"),
        ((watched(even(), doubts=("a process was restarted",)),), "a process was restarted"),
    ],
)
def test_what_was_not_seen_is_unknown(series: tuple[Watched, ...], says: str) -> None:
    found = judged(*series)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert says in found.reason


def test_missing_series_of_several_is_unknown() -> None:
    found = judged(watched(even()), expected=3)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "Prometheus has 1 series of orders in the night, 3 expected" in found.reason


def test_picture_of_many_samples_keeps_the_spike() -> None:
    points = [(2.0 * n, 400.0 if n == 7001 else 50.0) for n in range(14_400)]
    figure = judged(Watched("", tuple(points), 2.0, ())).figures[0]
    assert isinstance(figure, Series)
    drawn = figure.lines[0].points
    assert len(drawn) < 3000
    assert (14_002.0, 400.0) in drawn


@pytest.mark.parametrize(
    ("hours", "zone", "now", "start", "end"),
    [
        ("22:00-06:00", "UTC", "2026-12-01T09:00", "2026-11-30T22:00", "2026-12-01T06:00"),
        ("22:00-06:00", "UTC", "2026-12-01T05:00", "2026-11-29T22:00", "2026-11-30T06:00"),
        ("01:00-05:00", "UTC", "2026-12-01T05:00", "2026-12-01T01:00", "2026-12-01T05:00"),
        ("22:00-06:00", "Europe/Berlin", "2026-12-01T05:30", "2026-11-30T21:00", "2026-12-01T05:00"),
        # The clocks went back in this night, so it is an hour longer.
        ("22:00-06:00", "Europe/Berlin", "2026-10-25T09:00", "2026-10-24T20:00", "2026-10-25T05:00"),
    ],
)
def test_night_by_the_clock_is_the_last_that_is_over(
    hours: str, zone: str, now: str, start: str, end: str
) -> None:
    overnight = criterion().model_copy(update={"hours": hours, "timezone": zone})
    found = probe.window(overnight, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert [at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") for at in found] == [start, end]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"hours": "22-6"}, "are no hours"),
        ({"hours": "22:00-22:00"}, "are no hours"),
        ({"timezone": "Europe/Berlim"}, "there is no time zone"),
    ],
)
def test_odd_hours_are_refused(given: dict[str, str], says: str) -> None:
    series = [{"name": "a", "selector": "a", "at_most": 1}]
    with pytest.raises(ValueError, match=says):
        Overnight.model_validate({"series": series} | given)
    with pytest.raises(ValueError, match="the band is missing"):
        Overnight.model_validate({"series": [{"name": "a", "selector": "a"}]})
