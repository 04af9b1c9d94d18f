"""Count the entries of one log in two windows, and its errors by signature, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from pytest_deploygate.checks.error_logs import facts
from pytest_deploygate.checks.error_logs.facts import Hours
from pytest_deploygate.checks.error_logs.probe.entries import Entry
from pytest_deploygate.checks.error_logs.probe.masking import masked
from pytest_deploygate.checks.error_logs.probe.signatures import Normalise, normaliser, signature
from pytest_deploygate.checks.error_logs.section import ErrorSource

#: More signatures than this are not told apart, and this many are kept as facts.
_MOST, _KEPT = 20_000, 300
_LONGEST = 300
_BINS = 48
#: An entry without a level is an error if it says so.
_SAYS = re.compile(
    r"\b(?:error|exception|traceback|fatal|panic|segfault)\b|\w(?:Error|Exception)\b", re.IGNORECASE
)


class _Kind:
    """Errors of one signature."""

    __slots__ = ("before", "example", "first", "last", "now")

    def __init__(self) -> None:
        self.now = self.before = 0
        self.first = self.last = 0
        self.example = ""


class _Window:
    """Entries and errors by minute."""

    def __init__(self, hours: Hours) -> None:
        self.hours = hours
        self.begin, self.end = (int(at.timestamp()) // 60 for at in (hours.begin, hours.end))
        self.entries = self.errors = 0
        self.minutes: dict[int, int] = {}

    def add(self, minute: int, *, error: bool) -> None:
        self.entries += 1
        self.errors += error
        self.minutes[minute] = self.minutes.get(minute, 0) + error

    def fact(self) -> facts.Window:
        gap_s, gap_began = _longest_gap(self.minutes, self.begin, self.end)
        return facts.Window(self.entries, self.errors, gap_s, gap_began, tuple(self._bins()))

    def _bins(self) -> Iterable[int | None]:
        size = max(1, -(-(self.end - self.begin) // _BINS))
        for first in range(self.begin, self.end, size):
            inside = [
                self.minutes[at] for at in range(first, min(first + size, self.end)) if at in self.minutes
            ]
            yield sum(inside) if inside else None


def _longest_gap(minutes: Iterable[int], begin: int, end: int) -> tuple[float, datetime]:
    """Return the longest time without an entry in seconds, and when it began."""
    gap, at = max((after - before, -before) for before, after in pairwise([begin, *sorted(minutes), end]))
    return gap * 60.0, datetime.fromtimestamp(-at * 60, UTC)


class Presence:
    """The minutes in which one place of a log has entries: the other places must not hide that it is silent."""

    def __init__(self) -> None:
        self._minutes: set[int] = set()

    def take(self, entries: Iterable[Entry]) -> None:
        """Note when there were entries."""
        self._minutes.update(entry.minute for entry in entries if entry.minute is not None)

    def seen(self, hours: Hours) -> facts.Seen:
        """Return what the place has of some hours."""
        begin, end = (int(at.timestamp()) // 60 for at in (hours.begin, hours.end))
        inside = [minute for minute in self._minutes if begin <= minute < end]
        return facts.Seen(bool(inside), *_longest_gap(inside, begin, end))


class Tally:
    """One log over all its places."""

    def __init__(self, source: ErrorSource, now: Hours, before: Hours) -> None:
        self._name = source.name
        self._levels = {level.lower() for level in source.levels}
        self._normalise: Normalise = normaliser(source.masks)
        self._now, self._before = _Window(now), _Window(before)
        self._kinds: dict[str, _Kind] = {}
        self._unsorted = 0

    def take(self, entries: Iterable[Entry]) -> None:
        """Count entries; those outside of both windows, or without a time, are passed over."""
        now, before = self._now, self._before
        for entry in entries:
            minute = entry.minute
            if minute is None:
                continue
            if now.begin <= minute < now.end:
                error = self._is_error(entry)
                now.add(minute, error=error)
                if error:
                    self._sort(entry, minute, is_now=True)
            elif before.begin <= minute < before.end:
                error = self._is_error(entry)
                before.add(minute, error=error)
                if error:
                    self._sort(entry, minute, is_now=False)

    def _is_error(self, entry: Entry) -> bool:
        if entry.level:
            return entry.level in self._levels
        return _SAYS.search(entry.head[:_LONGEST]) is not None or any(
            line.startswith("Traceback (most recent") for line in entry.rest[:3]
        )

    def _sort(self, entry: Entry, minute: int, *, is_now: bool) -> None:
        text = signature(entry.head, entry.rest, self._normalise)
        kind = self._kinds.get(text)
        if kind is None:
            if len(self._kinds) >= _MOST:
                self._unsorted += 1
                return
            kind = self._kinds[text] = _Kind()
        if not is_now:
            kind.before += 1
            return
        if not kind.now:
            kind.first = minute
            kind.example = "\n".join([entry.head, *entry.rest])[: 4 * _LONGEST]
        kind.now += 1
        kind.last = minute

    def source(self, places: tuple[facts.Place, ...]) -> facts.Source:
        """Return what was counted. Only what is kept is masked: that takes longer than counting."""
        ordered = sorted(self._kinds.items(), key=lambda each: (-(each[1].now + each[1].before), each[0]))
        new = [each for each in ordered if not each[1].before][:_KEPT]
        kept = dict([*new, *ordered[:_KEPT]])
        return facts.Source(
            self._name,
            places,
            self._now.fact(),
            self._before.fact(),
            tuple(
                _signature(text, kind)
                for text, kind in sorted(kept.items(), key=lambda each: (-each[1].now, each[0]))
            ),
            distinct=len(self._kinds),
            singletons=sum(kind.now + kind.before == 1 for kind in self._kinds.values()),
            unsorted=self._unsorted,
        )


def _signature(text: str, kind: _Kind) -> facts.Signature:
    def at(minute: int) -> datetime | None:
        return datetime.fromtimestamp(0, UTC) + timedelta(minutes=minute) if minute else None

    return facts.Signature(
        masked(text), kind.now, kind.before, at(kind.first), at(kind.last), masked(kind.example)[:_LONGEST]
    )
