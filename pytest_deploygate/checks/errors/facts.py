"""Requests and errors by window."""

from __future__ import annotations

from pytest_deploygate.judging.counters import Counted
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Window:
    """Requests and those of them that failed, counted in the same window. `window_s` is how long it is."""

    window_s: float
    requests: Counted
    errors: Counted


@dataclass(frozen=True)
class Source:
    """What one application or the balancer counted; the first window is the whole one.

    `unseen` says why errors without a series do not mean that there were none; empty if they do: errors are series of the
    same counter then, and its series have all the labels that tell them apart.
    """

    name: str
    windows: tuple[Window, ...]
    unseen: str


@dataclass(frozen=True)
class Lacking:
    """How many more requests without an error would show the budget."""

    requests: int


@dataclass(frozen=True)
class ToppedUp:
    """Our own requests: how many, how many of them failed, and why it ended early (empty if it did not)."""

    requests: int
    failed: int
    stopped: str


@dataclass(frozen=True)
class Found:
    """All sources, and our own requests where some were sent."""

    sources: tuple[Source, ...]
    topped_up: ToppedUp | None = None
