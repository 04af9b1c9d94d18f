"""Find where the hours in question are in a large file, by halves: what is before, between and after them is not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_deploygate.checks.error_logs.facts import Hours
from pytest_deploygate.checks.error_logs.probe import parts
from pytest_deploygate.checks.error_logs.probe.parts import LogOnHost
from pytest_deploygate.clients.host.tail import Seen

#: A file of fewer parts is read as a whole.
_SMALL = 4
#: What is looked at for a time. Lines are written a little out of order, so as much more is read at either end.
_SAMPLE = 64 << 10
Minute = Callable[[str], int | None]


def ranges(log: LogOnHost, file: Seen, minute: Minute, wanted: Sequence[Hours]) -> list[tuple[int, int]]:
    """Return the places (begin, end) in a file that have all lines of some hours, in order. Raises CannotTell."""
    if parts.unpacks(file) or file.size < _SMALL * parts.PART:
        return [(0, file.size)]
    found: list[tuple[int, int]] = []
    for hours in sorted(wanted, key=lambda each: each.begin):
        begin, _ = _around(log, file, minute, int(hours.begin.timestamp()) // 60)
        _, end = _around(log, file, minute, int(hours.end.timestamp()) // 60)
        begin, end = max(0, begin - _SAMPLE), min(file.size, end + _SAMPLE)
        if found and begin <= found[-1][1]:
            begin, end = found.pop()[0], max(end, begin)
        found.append((begin, end))
    return found


def _around(log: LogOnHost, file: Seen, minute: Minute, wanted: int) -> tuple[int, int]:
    """Return a place before the first line of a minute, and one after it, at most a part from each other."""
    low, high = 0, file.size
    while high - low > parts.PART:
        middle = (low + high) // 2
        at = _minute_at(log, file, minute, middle)
        if at is None:
            break  # no time there: all of it is read
        low, high = (middle, high) if at < wanted else (low, middle)
    return low, high


def _minute_at(log: LogOnHost, file: Seen, minute: Minute, at: int) -> int | None:
    """Return the first time after a place in a file; None if there is none nearby."""
    _, *lines = parts.read(log, file, at, _SAMPLE).decode(errors="backslashreplace").split("\n")
    return next((found for line in lines if (found := minute(line)) is not None), None)
