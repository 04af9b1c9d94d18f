"""What probes of connection pools may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # Statements of up to 5 000 clients for a minute, over a pool: `pooling.pressure` has bounds of its own.
    "db.pooling": Limits(requests=200_000, connections=10_000, seconds=300.0, concurrency=5_000),
}
