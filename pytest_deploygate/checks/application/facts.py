"""Measurements of the application, as frozen values: no I/O, no limits."""

from __future__ import annotations

from pytest_deploygate.checks.stack.facts import Deployed, Health
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Replicas:
    """Which versions and images the replicas run, and how they run. `health` is None if nothing says how they run."""

    deployed: Deployed
    health: Health | None
