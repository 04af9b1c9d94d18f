"""What probes of replication may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # A write load of some minutes, and a drill that writes until its primary is stopped.
    "phase2.replication": Limits(requests=200_000, seconds=1800.0),
}
