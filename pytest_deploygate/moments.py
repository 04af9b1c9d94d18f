"""Times that a clock's jump cannot spoil: wall clock beside the machine's own counter since it booted.

Between two moments of one boot the counter decides; across restarts of the machine, or between two machines, only the
wall clock can, and what it says is never less than nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time: `wall` aware and in UTC, `boot` the id of the machine's boot (empty: not known), `up_s` seconds since it."""

    wall: datetime
    boot: str = ""
    up_s: float = 0.0

    def plus(self, seconds: float) -> Moment:
        """Return the moment so many seconds later."""
        return Moment(self.wall + timedelta(seconds=seconds), self.boot, self.up_s + seconds)


def present() -> Moment:
    """Return the present. Where the machine does not tell its boot, the wall clock has to do."""
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
    """Return a moment as the journal keeps it."""
    return {"wall": moment.wall.isoformat(), "boot": moment.boot, "up_s": round(moment.up_s, 3)}


def from_json(plain: Mapping[str, Any]) -> Moment:
    """Read a moment back. Raises KeyError, TypeError or ValueError for what is none."""
    return Moment(datetime.fromisoformat(plain["wall"]), str(plain["boot"]), float(plain["up_s"]))
