"""What requests of our own may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # The inventory declares how many; its cap is as high.
    "golive.errors": Limits(
        requests=100_000,
        connections=100_000,
        sent_bytes=10**9,
        received_bytes=10**10,
        seconds=3 * 3600.0,
        concurrency=512,
    ),
}
