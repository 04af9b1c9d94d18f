from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from pytest_deploygate.checklist import windows
from pytest_deploygate.model import Phase

T0 = date(2026, 12, 1)
NEW_YORK = ZoneInfo("America/New_York")


def planned(window: str, day: str = "", t0: date = T0, tz: ZoneInfo = NEW_YORK) -> tuple[str, str] | None:
    found = windows.planned(Phase("p", "P", window, day), t0, tz)
    if found is None:
        return None
    assert all(moment.tzinfo is UTC for moment in found)
    return f"{found[0]:%m-%d %H:%M}", f"{found[1]:%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("window", "day", "start", "end"),
    [
        ("12:00 PM - 2:00 PM", "T-0", "12-01 17:00", "12-01 19:00"),
        ("6:00 AM - 12:00 PM", "T-0", "12-01 11:00", "12-01 17:00"),
        ("10:00 PM - 12:00 AM", "T-0", "12-02 03:00", "12-02 05:00"),
        ("10:00 PM - 2:00 AM", "T-0", "12-02 03:00", "12-02 07:00"),
        ("6:00 AM - 9:00 AM", "T+1 day", "12-02 11:00", "12-02 14:00"),
        ("9:00 AM - 5:00 PM", "T+1 day", "12-02 14:00", "12-02 22:00"),
        ("14:00-16:00", "", "12-01 19:00", "12-01 21:00"),
        ("22:00 – 24:00", "T-0", "12-02 03:00", "12-02 05:00"),
        ("22:00 to 00:00", "T-0", "12-02 03:00", "12-02 05:00"),
        ("2:00 - 4:00 PM", "T-0", "12-01 19:00", "12-01 21:00"),
        ("10:00 - 2:00 PM", "T-0", "12-01 15:00", "12-01 19:00"),
        ("11 - 12 AM", "T-0", "12-02 04:00", "12-02 05:00"),
        ("12 - 1 PM", "T-0", "12-01 17:00", "12-01 18:00"),
        ("9 - 5 PM", "T-0", "12-01 14:00", "12-01 22:00"),
        ("14 - 4 PM", "T-0", "12-01 19:00", "12-01 21:00"),
        ("6 AM - noon", "T-0", "12-01 11:00", "12-01 17:00"),
        ("10 p.m. until midnight", "T-0", "12-02 03:00", "12-02 05:00"),
        ("T-7 days", "", "11-24 05:00", "12-01 05:00"),
        ("T-7", "", "11-24 05:00", "12-01 05:00"),
        ("T−2 weeks", "", "11-17 05:00", "12-01 05:00"),
        ("T-7 days - T-2 days", "", "11-24 05:00", "11-30 05:00"),
        ("", "T-7 days", "11-24 05:00", "12-01 05:00"),
        ("", "T-0", "12-01 05:00", "12-02 05:00"),
        ("T+3 days", "", "12-04 05:00", "12-05 05:00"),
        ("T-1 day, 6:00 PM - 8:00 PM", "T-7 days", "11-30 23:00", "12-01 01:00"),
        ("6:00 PM - 8:00 PM", "T-7 days", "11-24 23:00", "11-25 01:00"),
        ("9:00 - 10:00 UTC", "T-0", "12-01 09:00", "12-01 10:00"),
        ("9:00 - 10:00 Europe/Berlin", "T-0", "12-01 08:00", "12-01 09:00"),
        ("9:00 AM - 10:00 AM EST", "T-0", "12-01 14:00", "12-01 15:00"),
    ],
)  # fmt: skip
def test_words_become_instants(window: str, day: str, start: str, end: str) -> None:
    assert planned(window, day) == (start, end)


def test_no_words_no_window() -> None:
    assert planned("") is None
    assert windows.problem(Phase("p", "P"), T0, NEW_YORK) == ""


@pytest.mark.parametrize(
    "window",
    ["25:00 - 26:00", "6:00 AM", "13:00 PM - 2:00 PM", "12:61 - 13:00", "T-4 hours", "T-1 day - T-7 days",
     "9:00 AM - 10:00 AM EDT", "9:00 - 10:00 Mars/Olympus", "about 9:00 - 10:00", "24:00 - 25:00"],
)  # fmt: skip
def test_words_that_cannot_be_read_are_no_window_and_have_a_problem(window: str) -> None:
    phase = Phase("p", "P", window, "T-0")
    assert windows.planned(phase, T0, NEW_YORK) is None
    assert "write" in windows.problem(phase, T0, NEW_YORK)


def test_clocks_that_change_do_not_move_the_wall_clock() -> None:
    # Europe/Berlin changes from UTC+2 to UTC+1 on 25 October 2026 at 3:00.
    berlin = ZoneInfo("Europe/Berlin")
    assert planned("22:00 - 6:00", "T-0", date(2026, 10, 24), berlin) == ("10-24 20:00", "10-25 05:00")
    assert planned("T-7 days", "", date(2026, 10, 27), berlin) == ("10-19 22:00", "10-26 23:00")


def test_a_window_at_the_end_of_the_calendar_is_a_problem() -> None:
    assert windows.planned(Phase("p", "P", "T+9 days"), date.max, NEW_YORK) is None


def test_windows_in_words() -> None:
    window = (datetime(2026, 12, 1, 17, tzinfo=UTC), datetime(2026, 12, 1, 19, tzinfo=UTC))
    assert windows.local_words(window, NEW_YORK) == "Tue 2026-12-01 12:00 to 14:00 EST"
    late = (datetime(2026, 12, 2, 3, tzinfo=UTC), datetime(2026, 12, 2, 5, tzinfo=UTC))
    assert windows.local_words(late, NEW_YORK) == "Tue 2026-12-01 22:00 to Wed 2026-12-02 00:00 EST"
