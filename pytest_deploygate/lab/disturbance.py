"""What a fault does to the application's replicas: one small file, so that it survives a crash of any process.

`disturbance.json` maps the name of a replica, or `*` for all, to the fields of `Disturbance`. It is always
replaced whole; a replica that cannot read it is not disturbed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pytest_deploygate.lab.state import Lab, write_whole
from pytest_deploygate.lazy import dataclass

FILE = "disturbance.json"


@dataclass(frozen=True)
class Disturbance:
    """How a replica misbehaves; by default not at all.

    `delay_s` holds up each request of the API. `slow_s` holds up every `slow_every`-th of an endpoint, and every
    `error_every`-th is answered with 500: exact shares, so that a check with few samples sees them, too. A stall
    stops everything for `stall_s`, at the same moment in all replicas, again every `stall_every_s`. `greets_s` holds up
    the first request of each connection of a client. `keeps_transaction` leaves a session idle in a transaction.
    """

    delay_s: float = 0.0
    slow_every: int = 0
    slow_s: float = 0.0
    error_every: int = 0
    stall_every_s: float = 0.0
    stall_s: float = 0.0
    forgets_cache: bool = False
    logs_people: bool = False
    greets_s: float = 0.0
    keeps_transaction: bool = False

    def delay_of(self, number: int) -> float:
        """Return by how many seconds the request with this number (from 1, per endpoint) is delayed."""
        slow = self.slow_every and number % self.slow_every == 0
        return self.delay_s + (self.slow_s if slow else 0.0)

    def fails(self, number: int) -> bool:
        """Return whether the request with this number is answered with 500."""
        return bool(self.error_every) and number % self.error_every == 0

    def stalled_for(self, now_s: float) -> float:
        """Return how long the stall at `now_s` (monotonic clock, the same for all processes) still lasts."""
        if not self.stall_every_s:
            return 0.0
        return max(0.0, self.stall_s - now_s % self.stall_every_s)


def read(file: Path, replica: str) -> Disturbance:
    """Return what disturbs a replica now."""
    try:
        told = json.loads(file.read_text())
        return Disturbance(**(told.get(replica) or told.get("*") or {}))
    except (OSError, ValueError, TypeError, AttributeError):
        return Disturbance()


def write(lab: Lab, told: Mapping[str, Mapping[str, float]]) -> None:
    """Disturb replicas (`*`: all) as the fields say."""
    write_whole(lab.folder / FILE, {name: dict(fields) for name, fields in told.items()})


def end(lab: Lab) -> None:
    """End all disturbances."""
    (lab.folder / FILE).unlink(missing_ok=True)
