"""Measurements of schedulers and consumers, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pytest_deploygate.lazy import dataclass


class State(StrEnum):
    """What one read of a place saw."""

    RUNS = "runs"
    STILL = "stands still"
    ABSENT = "is not there"
    """There is no such entry, unit, queue or group: removed, or misspelt."""
    TIMED = "ran"
    """It showed when it ran last (`last`), which is compared with a limit."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Seen:
    """One read. `last` and `now` are by the clock of the server that showed them.

    `strangers` are consumers that are none of this side's.
    """

    state: State
    said: str = ""
    last: datetime | None = None
    now: datetime | None = None
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True)
class At:
    """A place and what each read saw there. `source` is the same for places of both sides that show the same consumers."""

    what: str
    reads: tuple[Seen, ...]
    source: str = ""


@dataclass(frozen=True)
class Sides:
    """What both sides showed, in the order of the inventory. `cutover` is None if it is not known."""

    new: tuple[At, ...]
    old: tuple[At, ...]
    cutover: datetime | None
    over_s: float
