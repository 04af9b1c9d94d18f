"""What probes of DNS may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # A switch is watched until its deadline, each server twice a second.
    "golive.dns": Limits(requests=1_000_000, seconds=24 * 3600.0),
}
