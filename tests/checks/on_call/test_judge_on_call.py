"""Judging who is on call: gaps, and people whom the contact list does not have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.on_call import judge as of_on_call
from pytest_deploygate.checks.on_call.facts import Rota, Shift
from pytest_deploygate.fields.contacts import Contact
from pytest_deploygate.model import Judgement

NOW = datetime(2026, 12, 1, 6, tzinfo=UTC)
CONTACTS = [
    Contact(
        role="deployment-lead",
        mail="lead@example.com",
        deputies=[{"name": "Night rota", "phone": "+12125550199"}],
    ),
]


def shift(start_h: float, end_h: float, *who: str) -> Shift:
    return Shift(who or ("Lead@Example.com",), NOW + timedelta(hours=start_h), NOW + timedelta(hours=end_h))


def judged(*shifts: Shift) -> Judgement:
    return of_on_call.judge(Rota("the calendar", NOW, NOW + timedelta(hours=24), shifts), CONTACTS)


def test_shifts_that_cover_the_window_pass() -> None:
    found = judged(shift(-2, 12), shift(12, 30, "night rota"))
    assert found.verdict.value == "pass"
    assert found.reason.startswith("Lead@Example.com is on call now")


@pytest.mark.parametrize("who", ["deployment-lead", "Deployment Lead", "Night  Rota", "LEAD@example.com"])
def test_people_are_known_by_mail_name_or_role(who: str) -> None:
    assert judged(shift(-2, 30, who)).verdict.value == "pass"


@pytest.mark.parametrize(
    ("shifts", "says"),
    [
        ([], "nobody is on call from 2026-12-01 06:00 UTC to 2026-12-02 06:00 UTC (24 h)"),
        ([(2, 30)], "nobody is on call from 2026-12-01 06:00 UTC to 2026-12-01 08:00 UTC (2 h)"),
        ([(-2, 12), (14, 30)], "from 2026-12-01 18:00 UTC to 2026-12-01 20:00 UTC"),
        ([(-2, 20)], "from 2026-12-02 02:00 UTC to 2026-12-02 06:00 UTC"),
        ([(-9, -8)], "nobody is on call from 2026-12-01 06:00 UTC"),
    ],
)
def test_a_time_without_anybody_is_named(shifts: list[tuple[float, float]], says: str) -> None:
    found = judged(*(shift(*one) for one in shifts))
    assert found.verdict.value == "fail"
    assert says.split(" (", maxsplit=1)[0] in found.reason


def test_a_second_between_shifts_is_no_gap() -> None:
    assert judged(shift(-2, 12 - 1 / 3600), shift(12, 30)).verdict.value == "pass"


def test_a_long_shift_covers_a_short_one() -> None:
    assert judged(shift(-2, 30), shift(1, 2)).verdict.value == "pass"


def test_somebody_whom_the_list_does_not_have_is_named() -> None:
    found = judged(shift(-2, 12), shift(12, 30, "other@example.com", "Other"))
    assert found.verdict.value == "fail"
    assert (
        "other@example.com / Other is on call from 2026-12-01 18:00 UTC and is not in the contact list"
        in found.reason
    )
