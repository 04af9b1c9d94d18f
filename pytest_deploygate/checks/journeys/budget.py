"""What journeys may use: each page asks for many things, and there may be many journeys."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

_JOURNEYS = Limits(requests=50_000, connections=50_000, seconds=3600.0)
LIMITS: Mapping[str, Limits] = dict.fromkeys(
    (
        "phase3.smoke",
        "golive.logins",
        "golive.workflows",
        "after.workflows",
        "hand.monitoring-access",
        "crit.features",
    ),
    _JOURNEYS,
)
