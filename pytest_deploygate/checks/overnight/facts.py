"""The night's samples."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Watched:
    """One series of the night. `points` are (seconds since the night's start, value), in order of time.

    Each stands for `step_s` seconds. `gaps` are times without samples, in seconds since the night's start, also those at its
    beginning and end. `odd` are the times of values that are no numbers. `resets` are restarts of a counter, `series` how many
    are added up.
    """

    labels: str
    points: tuple[tuple[float, float], ...]
    step_s: float
    gaps: tuple[tuple[float, float], ...]
    odd: tuple[float, ...] = ()
    resets: int = 0
    doubts: tuple[str, ...] = ()
    series: int = 1


@dataclass(frozen=True)
class Named:
    """What was found of one quantity of the inventory."""

    name: str
    found: tuple[Watched, ...]


@dataclass(frozen=True)
class Night:
    """The whole night, from `start_s` to `end_s` in seconds since 1970."""

    start_s: float
    end_s: float
    series: tuple[Named, ...]
