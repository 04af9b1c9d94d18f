"""What the events of a test may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # The inventory declares how many events; answers are read until all have come out.
    "phase3.pipeline": Limits(
        requests=200_000,
        connections=2_000,
        sent_bytes=10**9,
        received_bytes=10**10,
        seconds=3600.0,
        concurrency=256,
    ),
}
