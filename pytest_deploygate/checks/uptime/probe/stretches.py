"""From samples to states over time: up, down, or unknown, as far as the samples show.

A sample represents the time around it. Two neighbours that agree determine the state between them. Between one that is
up and one that is down it changed at an unknown moment. So k failures in a row at interval I are at least (k-1) I and,
with the unknown time as down, at most (k+1) I. Neighbours further apart than one and a half intervals have samples
missing between them: k missing ones make k I unknown, never up.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from pytest_deploygate.checks.uptime.facts import State, Stretch, joined
from pytest_deploygate.lazy import dataclass

_LATE = 1.5


@dataclass(frozen=True)
class Point:
    """One sample: when, whether up, and how far apart samples were meant to be, in seconds."""

    at: float
    up: bool
    every_s: float


def stretches(points: Sequence[Point]) -> tuple[Stretch, ...]:
    """Return the states of points in order of time, contiguous from half an interval before the first to after the last."""
    if not points:
        return ()
    first, last = points[0], points[-1]
    found = [_alone(first, first.at - first.every_s / 2, first.at)]
    for before, after in itertools.pairwise(points):
        found += _between(before, after)
    found.append(_alone(last, last.at, last.at + last.every_s / 2))
    return joined(found)


def _between(before: Point, after: Point) -> Iterator[Stretch]:
    interval = max(before.every_s, after.every_s)
    if after.at - before.at <= _LATE * interval:
        state: State = "unknown" if before.up is not after.up else "up" if after.up else "down"
        yield Stretch(before.at, after.at, state)
        return
    left, right = before.at + interval / 2, after.at - interval / 2
    yield _alone(before, before.at, left)
    yield Stretch(left, right, "unknown")
    yield _alone(after, right, after.at)


def _alone(point: Point, start: float, end: float) -> Stretch:
    """A single failure proves no duration."""
    return Stretch(start, end, "up" if point.up else "unknown")
