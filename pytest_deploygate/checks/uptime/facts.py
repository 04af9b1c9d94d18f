"""Measurements of availability as frozen values: no I/O, no limit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pytest_deploygate.lazy import dataclass

State = Literal["up", "down", "unknown"]


@dataclass(frozen=True)
class Stretch:
    """The state from `start` to `end`, in seconds since 1970."""

    start: float
    end: float
    state: State


def joined(parts: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Merge neighbours of the same state; times are rounded to milliseconds."""
    found: list[Stretch] = []
    for part in parts:
        start, end = round(part.start, 3), round(part.end, 3)
        if found and found[-1].state == part.state and found[-1].end == start:
            found[-1] = Stretch(found[-1].start, end, part.state)
        elif end > start:
            found.append(Stretch(start, end, part.state))
    return tuple(found)


@dataclass(frozen=True)
class View:
    """What one vantage point saw of a target. Times in seconds since 1970; `every_s` is the longest interval used.

    `stretches` are contiguous. `t0` is what the record declares. `source` is a file or a series, `sha256` that of the
    file or the answer. `failures` are reasons with their counts, most frequent first. `failing` and `cut_off` are the
    first and last moments of successive samples that failed, or for which the vantage point's own network was down.
    """

    vantage: str
    source: str
    sha256: str
    every_s: float
    t0: float | None
    stretches: tuple[Stretch, ...]
    samples: int
    failed: int
    blind: int
    failures: tuple[tuple[str, int], ...] = ()
    failing: tuple[tuple[float, float], ...] = ()
    cut_off: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watched:
    """What all vantage points saw of a target, as it was known at `now` (seconds since 1970)."""

    target: str
    now: float
    views: tuple[View, ...]
    notes: tuple[str, ...] = ()
