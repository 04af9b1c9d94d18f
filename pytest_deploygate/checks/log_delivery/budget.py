"""What messages of the gate may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # A message counts as a request: those of a burst, of each host.
    "phase1.logs": Limits(requests=1_000_000, seconds=900.0),
}
