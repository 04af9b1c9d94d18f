"""What the probe of the matrix may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # A hundred places and thirty services, each three times and once with full packets.
    "phase1.connectivity": Limits(requests=50_000, connections=50_000, concurrency=5_000),
}
