"""What probes of load may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # A peak that the inventory declares: `load.max_requests` is lower for most.
    "crit.p50": Limits(
        requests=2_000_000,
        connections=2_000_000,
        sent_bytes=10**10,
        received_bytes=10**11,
        seconds=3 * 3600.0,
        concurrency=16_384,
    ),
}
