"""What probes of data loss may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # Writers of some minutes, which connect again after an outage, and a restore.
    "crit.data-loss": Limits(requests=500_000, connections=20_000, received_bytes=10**12, seconds=7200.0),
}
