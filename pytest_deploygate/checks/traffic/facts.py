"""What the counters of both sides counted."""

from __future__ import annotations

from pytest_deploygate.judging.counters import Counted
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Sides:
    """The requests of both sides in the same window."""

    new: Counted
    old: Counted
