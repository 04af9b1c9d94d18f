"""Calendar files (RFC 5545): the window of a change, its decision deadline, and the next attempt, each with an alarm.

Times are in UTC, so that no program needs a definition of our zones. A UID stays the same for a change and what the entry
is about; SEQUENCE counts the changes of its time, so that a calendar replaces what it has. Google's, Microsoft's and Apple's
calendars take one VCALENDAR with METHOD:PUBLISH and such entries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_deploygate.fields.notices import Notices
from pytest_deploygate.files import bounded, write_whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

FILE = "calendar.json"
#: How long an entry lasts that is about a moment: calendars hide what takes no time.
_MOMENT = timedelta(minutes=15)
_RETRY = timedelta(hours=1)


@dataclass(frozen=True)
class Entry:
    """Something on a calendar. `alarms` say how long before its start one is reminded."""

    what: str
    title: str
    start: datetime
    end: datetime
    text: str
    alarms: tuple[timedelta, ...]

    @property
    def key(self) -> str:
        """All that it says."""
        return f"{self.title}|{self.start.isoformat()}|{self.end.isoformat()}|{self.text}"


@dataclass(frozen=True)
class Diary:
    """A calendar file that goes with a notice. `key` is what it says, without when and how often it was given out."""

    content: bytes
    key: str


@dataclass(frozen=True)
class Issued:
    """An entry as it was last given out: `key` is what it said, `sequence` how often it was changed."""

    key: str
    sequence: int
    stamp: datetime


def entries(section: Notices, change: str, retry: datetime | None) -> list[Entry]:
    """Return what there is to put on a calendar."""
    product = section.product if isinstance(section.product, str) else ""
    about = product or f"change {change}"
    look = f"\nState: {section.look}" if section.look else ""
    found = []
    if (window := section.window) is not None:
        hour, day = timedelta(hours=1), timedelta(days=1)
        text = f"Change {change}.{look}"
        found.append(Entry("window", f"Planned work: {about}", window.start, window.end, text, (day, hour)))
        if (due := window.decide_by) is not None:
            text = f"Change {change}: by now it must be decided whether it goes on or back.{look}"
            found.append(
                Entry(
                    "decision",
                    f"Decide, go on or back: {about}",
                    due,
                    due + _MOMENT,
                    text,
                    (timedelta(minutes=15),),
                )
            )
    if retry is not None:
        text = f"Change {change} was rolled back; this is the next attempt.{look}"
        found.append(
            Entry(
                "retry",
                f"Next attempt: {about}",
                retry,
                retry + _RETRY,
                text,
                (timedelta(days=1), timedelta(hours=1)),
            )
        )
    return found


def issued(record: Path) -> dict[str, Issued]:
    """Return the entries that were given out, by what they are about. Raises CannotTell."""
    file = record / FILE
    try:
        raw = bounded.from_json(bounded.read(file, bounded.MADE))
        return {
            str(what): Issued(str(one["key"]), int(one["sequence"]), datetime.fromisoformat(one["stamp"]))
            for what, one in raw.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CannotTell(
            f"{file} cannot be read ({error}): move it aside; calendars then take new entries as changes"
        ) from None


def numbered(found: Sequence[Entry], before: Mapping[str, Issued], now: datetime) -> dict[str, Issued]:
    """Return the entries as they are given out now: one that says something else than before has the next number."""
    numbers = {}
    for entry in found:
        key = entry.key
        last = before.get(entry.what)
        if last is not None and last.key == key:
            numbers[entry.what] = last
        else:
            numbers[entry.what] = Issued(key, last.sequence + 1 if last else 0, now.replace(microsecond=0))
    return numbers


def keep(record: Path, numbers: Mapping[str, Issued]) -> None:
    """Record what was given out. Raises CannotTell."""
    plain = {
        what: {"key": one.key, "sequence": one.sequence, "stamp": one.stamp.isoformat()}
        for what, one in numbers.items()
    }
    try:
        record.mkdir(parents=True, exist_ok=True)
        write_whole(record / FILE, json.dumps(plain, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise CannotTell(f"{record / FILE} cannot be written: {error.strerror}") from None


def rendered(
    found: Sequence[Entry], numbers: Mapping[str, Issued], change: str, domain: str, organizer: str
) -> bytes:
    """Return a calendar file; `organizer` is a mail address or empty. Raises CannotTell without the library for it.

    What is published has an organizer (RFC 5546, section 3.2.1). Without one there is no method, and people import the file.
    """
    try:
        import icalendar  # noqa: PLC0415 (0.3 s)
    except ImportError:
        raise CannotTell(
            "calendar files need a library that is not installed: pip install 'pytest-deploygate[notices]'"
        ) from None
    whole = icalendar.Calendar()
    whole.add("prodid", "-//pytest-deploygate//notices//EN")
    whole.add("version", "2.0")
    whole.add("calscale", "GREGORIAN")
    if organizer:
        whole.add("method", "PUBLISH")
    for entry in found:
        event: Any = icalendar.Event()
        event.add("uid", f"{change}-{entry.what}@{domain}")
        event.add("dtstamp", numbers[entry.what].stamp.astimezone(UTC))
        event.add("last-modified", numbers[entry.what].stamp.astimezone(UTC))
        event.add("sequence", numbers[entry.what].sequence)
        event.add("dtstart", entry.start.astimezone(UTC))
        event.add("dtend", entry.end.astimezone(UTC))
        if organizer:
            event.add("organizer", f"mailto:{organizer}")
        event.add("summary", entry.title)
        event.add("description", entry.text)
        event.add("status", "CONFIRMED")
        event.add("transp", "TRANSPARENT")
        for before in entry.alarms:
            alarm: Any = icalendar.Alarm()
            alarm.add("action", "DISPLAY")
            alarm.add("description", entry.title)
            alarm.add("trigger", -before)
            event.add_component(alarm)
        whole.add_component(event)
    return bytes(whole.to_ical())
