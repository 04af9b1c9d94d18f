"""Counts of tickets, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class SeverityCount:
    """How many tickets of a severity came since go-live, and in the same hours before; None: the source does not say."""

    name: str
    since: int | None
    before: int | None


@dataclass(frozen=True)
class TicketCounts:
    """Tickets by severity. `at` is when the source counted them, `now` when it was read."""

    source: str
    start: datetime | None
    at: datetime
    now: datetime
    counts: tuple[SeverityCount, ...]
