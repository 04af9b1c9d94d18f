"""Shifts of an iCalendar file (RFC 5545), with its recurrences, exceptions and moved events."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import requests

from pytest_deploygate.checks.on_call.facts import Shift
from pytest_deploygate.checks.on_call.section import Calendar
from pytest_deploygate.clients.http import sending
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

_TIMEOUT_S = 15.0
#: More events than this in a window are no schedule.
_MOST = 5000


def shifts(settings: Calendar, start: datetime, end: datetime) -> tuple[Shift, ...]:
    """Return the shifts between two times. Raises CannotTell."""
    try:
        import icalendar  # noqa: PLC0415 (an extra)
        import recurring_ical_events  # noqa: PLC0415
    except ImportError:
        raise CannotTell(
            "a calendar cannot be read without the packages icalendar and recurring-ical-events: install "
            "`pip install 'pytest-deploygate[people]'`"
        ) from None
    raw = _fetched(settings)
    if not raw.lstrip().upper().startswith(b"BEGIN:VCALENDAR"):
        raise CannotTell(f"{_place(settings)} is no iCalendar file: it does not begin with BEGIN:VCALENDAR")
    try:
        events = recurring_ical_events.of(icalendar.Calendar.from_ical(raw)).between(start, end)
    except Exception as error:  # noqa: BLE001 (both packages raise what their parsers raise)
        said = shortened(redact(" ".join(str(error).split())), 120)
        raise CannotTell(f"{_place(settings)} cannot be read as iCalendar (RFC 5545): {said}") from None
    if len(events) > _MOST:
        raise CannotTell(f"{_place(settings)} has more than {_MOST} events in the window: it is no schedule")
    zone = ZoneInfo(settings.zone)
    found = [
        Shift(_who(event), _instant(event.start, zone), _instant(event.end, zone))
        for event in events
        if str(event.get("STATUS", "")).upper() != "CANCELLED"
    ]
    return tuple(sorted(found, key=lambda shift: (shift.start, shift.end)))


def _place(settings: Calendar) -> str:
    return settings.url or str(settings.file)


def _fetched(settings: Calendar) -> bytes:
    if settings.url is None:
        try:
            return bounded.read(str(settings.file))
        except OSError as error:
            raise CannotTell(f"{settings.file} cannot be read: {error}") from None
    timeout_s = settings.timeout.total_seconds() if settings.timeout else _TIMEOUT_S
    try:
        answer = sending.get(settings, settings.url, timeout_s)
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"the calendar {settings.url} cannot be fetched: {sending.why(error)}") from None
    if answer.status_code != 200:
        raise CannotTell(f"the calendar {settings.url} answered {answer.status_code} in place of 200")
    return bytes(answer.content)


def _who(event: Any) -> tuple[str, ...]:
    """Return addresses and names of the attendees; without any, the summary."""
    attendees = event.get("ATTENDEE", [])
    found: list[str] = []
    for one in attendees if isinstance(attendees, list) else [attendees]:
        address = str(one)
        if address.lower().startswith("mailto:"):
            found.append(address[7:])
        if name := str(one.params.get("CN", "")):
            found.append(name)
    summary = str(event.get("SUMMARY", "")).strip()
    return tuple(dict.fromkeys(found or ([summary] if summary else [])))


def _instant(at: date, zone: ZoneInfo) -> datetime:
    if not isinstance(at, datetime):
        return datetime.combine(at, time(), zone).astimezone(UTC)
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
