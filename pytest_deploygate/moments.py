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
    return Moment(datetime.fromisoformat(plain["wall"]), str(plain["boot"]), float(plain["up_s"]))
