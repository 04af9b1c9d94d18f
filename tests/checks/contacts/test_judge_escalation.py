"""Judging an escalation: its order, and the hours of a week."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_deploygate.checks.contacts import judge as of_contacts
from pytest_deploygate.checks.contacts.facts import EscalationSeen, StepSeen
from pytest_deploygate.checks.contacts.section import ContactRules
from pytest_deploygate.fields.contacts import spans
from pytest_deploygate.model import Judgement

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)  # a Monday


def judged(*steps: StepSeen, at: datetime = NOW) -> Judgement:
    return of_contacts.escalation(EscalationSeen(steps, at), ContactRules())


def step(place: int, *hours: str, zone: str = "UTC") -> StepSeen:
    return StepSeen(f"role-{place}", place, hours, zone)


@pytest.mark.parametrize(
    "steps",
    [
        (step(1), step(2, "Mon 08:00-09:00")),
        (step(1, "06:00-18:00"), step(2, "18:00-06:00")),
        (step(1, "Mon-Fri 00:00-24:00"), step(2, "Sat-Sun 00:00-24:00")),
        (step(1, "Fri-Mon 00:00-24:00"), step(2, "Tue-Thu 00:00-24:00")),
        (step(1, "06:00-18:00", zone="Europe/Berlin"), step(2, "00:00-12:00", zone="America/New_York"),
         step(3, "12:00-00:00", zone="America/New_York")),
    ],
)  # fmt: skip
def test_hours_that_cover_a_week(steps: tuple[StepSeen, ...]) -> None:
    assert judged(*steps).verdict.value == "pass"


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ((), "0 contacts have a place in the escalation, and 2 must"),
        ((step(1),), "1 contacts have a place"),
        ((step(1), StepSeen("other", 1)), "role-1, other have the same place 1"),
        ((step(1), step(3)), "the places are 1, 3: number them from 1 without a hole"),
        (
            (step(1, "06:00-18:00"), step(2, "Mon-Sat 18:00-06:00")),
            "from Sun 2026-12-06 18:00 UTC to Mon 2026-12-07 06:00 UTC (12 h)",
        ),
        (
            (step(1, "08:00-20:00", zone="Europe/Berlin"), step(2, "20:00-08:00", zone="Europe/London")),
            "from Mon 2026-11-30 19:00 UTC to Mon 2026-11-30 20:00 UTC (60 min)",
        ),
    ],
)
def test_what_is_wrong_is_named(steps: tuple[StepSeen, ...], says: str) -> None:
    found = judged(*steps)
    assert found.verdict.value == "fail"
    assert says in found.reason


def test_clocks_that_change_in_the_week_make_no_hole_within_one_zone() -> None:
    steps = (step(1, "06:00-18:00", zone="Europe/Berlin"), step(2, "18:00-06:00", zone="Europe/Berlin"))
    assert judged(*steps, at=datetime(2026, 10, 22, tzinfo=UTC)).verdict.value == "pass"
    assert judged(*steps, at=datetime(2026, 3, 26, tzinfo=UTC)).verdict.value == "pass"


@pytest.mark.parametrize("hours", ["8-18", "Mon-Fr 08:00-18:00", "25:00-26:00", "24:30-08:00", ""])
def test_hours_that_cannot_be_read(hours: str) -> None:
    with pytest.raises(ValueError, match=r"hours|24:00"):
        spans(hours)
