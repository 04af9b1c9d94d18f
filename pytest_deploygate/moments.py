"""Times that are safe against clock jumps: the wall clock together with the machine's uptime counter.

Between two moments of one boot the counter decides; across reboots, or between two machines, only the wall clock can,
and a negative difference counts as zero.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_deploygate.lazy import dataclass

#: Years that a time in a record can have, and the largest number.
_FIRST, _LAST = 1900, 9000
_MOST = 1e30
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Moment:
    """A time: `wall` aware and in UTC, `boot` the machine's boot id (empty: not known), `up_s` seconds since boot."""

    wall: datetime
    boot: str = ""
    up_s: float = 0.0

    def plus(self, seconds: float) -> Moment:
        """Return the moment the given number of seconds later."""
        return Moment(self.wall + timedelta(seconds=seconds), self.boot, self.up_s + seconds)


def present() -> Moment:
    """Return the current moment. Without a boot id only the wall clock is used."""
    wall = datetime.now(UTC)
    try:
        return Moment(wall, _BOOT_ID.read_text().strip(), time.clock_gettime(time.CLOCK_BOOTTIME))
    except (OSError, AttributeError):
        return Moment(wall)


def elapsed_s(earlier: Moment, later: Moment) -> float:
    """Return the seconds between two moments, never negative."""
    if earlier.boot and earlier.boot == later.boot:
        return max(0.0, later.up_s - earlier.up_s)
    return max(0.0, (later.wall - earlier.wall).total_seconds())


def to_json(moment: Moment) -> dict[str, Any]:
    """Return a moment as the journal stores it."""
    return {"wall": moment.wall.isoformat(), "boot": moment.boot, "up_s": round(moment.up_s, 3)}


def from_json(plain: Mapping[str, Any]) -> Moment:
    """Read a moment back. Raises KeyError, TypeError or ValueError for anything else."""
    return Moment(time_of(plain["wall"]), str(plain["boot"]), number_of(plain["up_s"]))


def time_of(text: Any) -> datetime:
    """Return a time that was written in ISO 8601, aware. Raises TypeError or ValueError, also for years far away.

    Near the ends of the calendar another zone or a day more is an error, wherever it is added.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"the time {text!r} has no zone")
    if not _FIRST <= time.year <= _LAST:
        raise ValueError(f"the time {text!r} is not of these centuries")
    return time


def number_of(value: Any) -> float:
    """Return a number. Raises TypeError, and ValueError for what is not finite or too large to be anything measured."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"it is of type {type(value).__name__}, not a number")
    if not -_MOST < value < _MOST:
        raise ValueError("the number is out of range")
    return float(value)
