"""Count the requests of both sides; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.traffic.facts import Sides
from pytest_deploygate.checks.traffic.section import Traffic
from pytest_deploygate.clients import counting
from pytest_deploygate.fields.prometheus import Prometheus

__all__ = ["sides"]


def sides(prometheus: Prometheus, traffic: Traffic) -> Sides:
    """Return what was counted. Raises CannotTell where Prometheus cannot be asked."""
    new, old, window = traffic.new.requests, traffic.old.requests, traffic.window
    found = counting.read(prometheus, [new, old], [window])
    return Sides(found[new, window], found[old, window])
