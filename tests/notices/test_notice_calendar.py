"""Calendar files: what RFC 5545 and the large calendars ask for, read back by a parser that is not ours to write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import icalendar
from notices_sent import notices

from pytest_deploygate.notices import calendar

RETRY = datetime(2026, 12, 8, 20, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)


def section(**changed):
    window = {
        "start": "2026-12-01T17:00:00Z",
        "end": "2026-12-01T19:00:00Z",
        "decide_by": "2026-12-01T18:30:00Z",
    }
    return notices(
        window=window | changed, product="Plant portal; hall 3, Überwachung " + "of everything " * 8
    )


def made(before=None, now=NOW, **changed):
    found = calendar.entries(section(**changed), "CHG-1", RETRY)
    numbers = calendar.numbered(found, before or {}, now)
    return calendar.rendered(found, numbers, "CHG-1", "example.com", "platform@example.com"), numbers


def test_lines_are_folded_and_end_with_crlf() -> None:
    raw, _ = made()
    assert raw.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 75
    assert b"Plant portal\\; hall 3\\, " in raw.replace(b"\r\n ", b"")


def test_entries_have_what_calendars_need() -> None:
    raw, _ = made()
    whole = icalendar.Calendar.from_ical(raw)
    assert (str(whole["METHOD"]), str(whole["VERSION"])) == ("PUBLISH", "2.0")
    events = whole.walk("VEVENT")
    assert [str(event["UID"]) for event in events] == [
        "CHG-1-window@example.com",
        "CHG-1-decision@example.com",
        "CHG-1-retry@example.com",
    ]
    for event in events:
        assert event.start.tzinfo is not None
        assert event.start.utcoffset() == timedelta(0)
        assert event.end > event.start
        assert str(event["ORGANIZER"]) == "mailto:platform@example.com"
        assert "ATTENDEE" not in event
        assert event["DTSTAMP"].dt == NOW
        assert {str(alarm["ACTION"]) for alarm in event.walk("VALARM")} == {"DISPLAY"}
        assert all(alarm["TRIGGER"].dt < timedelta(0) for alarm in event.walk("VALARM"))


def test_sequence_counts_changes_and_the_uid_stays(tmp_path) -> None:
    first, numbers = made()
    calendar.keep(tmp_path, numbers)
    again, same = made(calendar.issued(tmp_path), NOW + timedelta(hours=1))
    assert again == first
    moved, third = made(calendar.issued(tmp_path), NOW + timedelta(hours=1), end="2026-12-01T20:00:00Z")
    assert [third[what].sequence for what in ("window", "decision", "retry")] == [1, 0, 0]
    assert same == numbers
    assert b"CHG-1-window@example.com" in moved


def test_without_a_sender_nothing_is_published() -> None:
    found = calendar.entries(section(), "CHG-1", None)
    raw = calendar.rendered(found, calendar.numbered(found, {}, NOW), "CHG-1", "deploygate.invalid", "")
    assert b"METHOD" not in raw
    assert b"ORGANIZER" not in raw
