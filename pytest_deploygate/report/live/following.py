"""Follow a journal that another process writes, and say in a sentence what is wrong with it. It is only ever read."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from pytest_deploygate import moments
from pytest_deploygate.decision import incident_log, incidents, standing
from pytest_deploygate.journal import FILE, JournalError, read, segments, utcnow
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.report import from_journal
from pytest_deploygate.report.leaving import cleaned
from pytest_deploygate.report.record import Record

#: More than this of a first line identifies no journal any better.
_FIRST_LINE = 65_536


@dataclass(frozen=True)
class Clock:
    """The running clock of an incident: what must be done until when."""

    name: str
    incident: str
    until: datetime
    left_s: float


@dataclass(frozen=True)
class Seen:
    """A journal as it was read at a time. Without a `record`, `problem` says why there is none.

    `notes` are sentences about a record that can be shown: an unfinished last line, a journal that took another's place.
    """

    at: datetime
    problem: str
    notes: tuple[str, ...] = ()
    record: Record | None = None
    clock: Clock | None = None
    running: bool = False
    latest: datetime | None = None
    valid_until: datetime | None = None


class Following:
    """Reads the journal of one folder again whenever it has changed. Not for several threads."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._stamp: tuple[int, ...] | str | None = ""  # no look has been taken yet
        self._first = b""
        self._size = 0
        self._replaced = ""

    def look(self) -> Seen | None:
        """Return what is there now; None if nothing has changed since the last look."""
        stamp = self._stamped()
        if stamp == self._stamp:
            return None
        seen = self._read(stamp)
        self._stamp = stamp
        return seen

    def _stamped(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return (-1, error.errno or 0)
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def _read(self, stamp: tuple[int, ...] | None) -> Seen:
        at = utcnow()
        if stamp is None:
            return Seen(at, self._absent())
        try:
            with self._path.open("rb") as file:
                first = hashlib.sha256(file.readline(_FIRST_LINE)).digest() if stamp[2:3] != (0,) else b""
            self._compare(first, stamp, at)
            return self._built(at)
        except OSError as error:
            return Seen(
                at, f"{self._path} cannot be read: {error.strerror}. Give this user the right to read it."
            )
        except JournalError as error:
            return Seen(at, f"The journal cannot be trusted: {error}.", self._notes())

    def _absent(self) -> str:
        if self._first:
            return (
                f"The journal {self._path} is gone: it was here when this page was served before. It was moved aside "
                "(--fresh) or removed. Nothing is known until a run writes a new one."
            )
        return f"There is no journal {self._path} yet: nothing was measured. This page shows the first run when it begins."

    def _compare(self, first: bytes, stamp: tuple[int, ...], at: datetime) -> None:
        size = stamp[2] if len(stamp) > 2 else 0
        if self._first and first != self._first:
            self._replaced = f"Another journal took this one's place at {at:%H:%M:%S} UTC: what was shown before belongs to another record."
        elif size < self._size:
            self._replaced = (
                f"The journal became shorter at {at:%H:%M:%S} UTC: lines that were shown before are gone."
            )
        self._first, self._size = first or self._first, size

    def _notes(self) -> tuple[str, ...]:
        return (self._replaced,) if self._replaced else ()

    def _built(self, at: datetime) -> Seen:
        entries, whole = read(self._path.parent)
        notes = list(self._notes())
        if self._path.stat().st_size > whole:
            notes.append(
                "The last line of the journal is unfinished: a run writes it now, or was killed while it did. "
                "It is not counted."
            )
        runs = segments(entries)
        if not runs:
            return Seen(at, "The journal has no run yet: nothing was measured.", tuple(notes))
        about = standing.frame(runs[-1].begin)
        record = cleaned(from_journal.build(entries))
        last = runs[-1]
        return Seen(
            at,
            "",
            tuple(notes),
            record,
            _clock(incidents.standing(incident_log.events(entries), about.times)),
            running=last.ended is None,
            latest=entries[-1].at,
            valid_until=_later(last.decision.at, about.decision_valid_s) if last.decision else None,
        )


def _later(at: datetime, seconds: float) -> datetime:
    return datetime.fromtimestamp(at.timestamp() + seconds, at.tzinfo)


def _clock(incident: incidents.Incident | None) -> Clock | None:
    """Return the clock that runs; what is left is counted as `deploygate decide` counts it."""
    if incident is None or incident.over or incident.clock is None:
        return None
    left = incident.left_s(moments.present())
    return None if left is None else Clock(incident.clock[0], incident.id, _later(utcnow(), left), left)
