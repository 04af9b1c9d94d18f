"""What an attempt to reach a port must meet, as an inventory says it."""

from __future__ import annotations

from enum import StrEnum


class Expected(StrEnum):
    """What an attempt must meet. `closed` is any of refused, filtered or unreachable."""

    OPEN = "open"
    CLOSED = "closed"
    REFUSED = "refused"
    FILTERED = "filtered"
