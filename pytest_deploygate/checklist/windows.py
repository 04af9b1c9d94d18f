"""When a phase is planned: two instants from the words of its heading, the day of T-0 and a time zone. Pure.

Headings contain `12:00 PM - 2:00 PM`, `14:00-16:00`, `T-7 days`, `T+1 day, 6:00 AM - 9:00 AM`, `9:00 - 10:00 UTC`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Phase

#: Start and end, aware and in UTC.
Window = tuple[datetime, datetime]

_TO = r"\s*(?:-|–|—|−|\bto\b|\buntil\b)\s*"
_CLOCK = r"(?:\d{1,2}(?::\d{2})?\s*[ap]\.?m\b\.?|\d{1,2}:\d{2}|noon\b|midnight\b)"
_DAY = re.compile(r"\bT\s*([-+−–])\s*(\d+)\s*(days?|d|weeks?|w)?\b", re.IGNORECASE)
_RANGE = re.compile(rf"({_CLOCK}|\d{{1,2}}){_TO}({_CLOCK})", re.IGNORECASE)
_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(?:([ap])\.?m\.?)?", re.IGNORECASE)
_REST = re.compile(r"\bday\b|[\s,;:@()]+|\b(?:on|at|from|local(?: time)?)\b", re.IGNORECASE)
_HALF_DAY = 12 * 60
_WHOLE_DAY = 24 * 60


class WindowError(ValueError):
    """A window cannot be parsed; the message quotes it and shows the accepted forms."""


@dataclass(frozen=True)
class _Words:
    """A parsed window: first and last day relative to T-0, minutes of the day, and its own time zone."""

    first: int
    last: int
    minutes: tuple[int, int] | None
    zone: str


def planned(phase: Phase, t0: date, tz: tzinfo) -> Window | None:
    """Return when a phase is planned, or None if its heading has no time or one that cannot be parsed.

    `tz` is the zone of the checklist's times. `T-7 days` lasts until T-0 begins, `T+1 day` is that
    day. Example: `12:00 PM - 2:00 PM` below `Deployment day (T-0)`, 2026-12-01 in New York, is 17:00 to 19:00 UTC.
    """
    try:
        return read(phase, t0, tz)
    except WindowError:
        return None


def problem(phase: Phase, t0: date, tz: tzinfo) -> str:
    """Return why the window in a phase's heading cannot be used, or an empty text."""
    try:
        read(phase, t0, tz)
    except WindowError as error:
        return str(error)
    return ""


def read(phase: Phase, t0: date, tz: tzinfo) -> Window | None:
    """Return when a phase is planned, None if its heading has no time. Raises WindowError."""
    if not phase.window and not phase.day:
        return None
    words = _words(phase)
    try:
        first, last = t0 + timedelta(days=words.first), t0 + timedelta(days=words.last)
        zone = _zone(words.zone, first, tz) if words.zone else tz
        if words.minutes is None:
            return _instant(first, 0, zone), _instant(last, 0, zone)
        start, end = words.minutes
        return _instant(first, start, zone), _instant(first, end, zone)
    except OverflowError:
        raise WindowError(f"{phase.window or phase.day!r} is outside the calendar") from None


def local_words(window: Window, tz: tzinfo) -> str:
    """Format a window for people: `Tue 2026-12-01 12:00 to 14:00 EST`, with the end's day if it differs."""
    start, end = (moment.astimezone(tz) for moment in window)
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%a %Y-%m-%d %H:%M}"
    return f"{start:%a %Y-%m-%d %H:%M} to {until} {end:%Z}"


def _words(phase: Phase) -> _Words:
    text = phase.window or phase.day
    clocks = _RANGE.search(text)
    rest = _RANGE.sub(" ", text, count=1) if clocks else text
    days = [_days(found) for found in _DAY.finditer(rest)]
    without_days = re.sub(_TO, " ", _DAY.sub(" ", rest)) if len(days) > 1 else _DAY.sub(" ", rest)
    zone = _REST.sub(" ", without_days).strip()
    minutes = _minutes(clocks[1], clocks[2], text) if clocks else None
    if not clocks and (zone or not days):
        raise _unreadable(text)
    if not days and phase.window and (above := _DAY.search(phase.day)):
        days = [_days(above)]
    first = days[0] if days else 0
    if len(days) > 2 or (len(days) == 2 and (clocks or days[1] < first)):
        raise _unreadable(text)
    # A single day before T-0 is when work begins: it lasts until T-0. Otherwise the last day counts as a whole.
    last = days[1] + 1 if len(days) == 2 else 0 if first < 0 else first + 1
    return _Words(first, last, minutes, zone)


def _days(found: re.Match[str]) -> int:
    number = int(found[2]) * (7 if (found[3] or "").lower().startswith("w") else 1)
    return number if found[1] == "+" else -number


def _minutes(start: str, end: str, text: str) -> tuple[int, int]:
    """Return minutes since midnight; an end at or before the start is on the next day.

    `2:00 - 4:00 PM` is the afternoon for both, `10:00 - 2:00 PM` begins in the morning.
    """
    last = _minute(end, text)
    first = _minute(start, text)
    if not _half(start) and _half(end) and first <= _HALF_DAY:
        # The start has no AM or PM: use the one that makes the window shorter.
        first = min(
            (first % _HALF_DAY, first % _HALF_DAY + _HALF_DAY), key=lambda m: (last - m - 1) % _WHOLE_DAY
        )
    if first >= _WHOLE_DAY:
        raise _unreadable(text)
    return first, last if last > first else last + _WHOLE_DAY


def _half(clock: str) -> str:
    found = _TIME.fullmatch(clock.strip())
    return (found[3] or "").lower() if found else ""


def _minute(clock: str, text: str) -> int:
    word = clock.strip().lower()
    if word in ("noon", "midnight"):
        return _HALF_DAY if word == "noon" else 0
    found = _TIME.fullmatch(word)
    if not found:
        raise _unreadable(text)
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
    if minute > 59 or (half and not 1 <= hour <= 12) or hour * 60 + minute > _WHOLE_DAY:
        raise _unreadable(text)
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return hour * 60 + minute


def _zone(name: str, day: date, tz: tzinfo) -> tzinfo:
    """Return the named zone: UTC, a name such as Europe/Berlin, or the abbreviation of `tz` on that day."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    if name == datetime.combine(day, time(12), tz).tzname():
        return tz
    if "/" in name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise WindowError(
        f"the time zone {name!r} is unknown, or not that of the inventory's schedule on {day}; "
        "write UTC or a name such as Europe/Berlin"
    )


def _instant(day: date, minutes: int, zone: tzinfo) -> datetime:
    """Return an instant in local time: 24:00 is the next midnight, also when clocks change."""
    days, rest = divmod(minutes, _WHOLE_DAY)
    return datetime.combine(day + timedelta(days=days), time(rest // 60, rest % 60), zone).astimezone(UTC)


def _unreadable(text: str) -> WindowError:
    return WindowError(
        f"the window {text!r} cannot be parsed; write for example 12:00 PM - 2:00 PM, 14:00 - 16:00, T-7 days or "
        "T+1 day, 6:00 AM - 9:00 AM"
    )
