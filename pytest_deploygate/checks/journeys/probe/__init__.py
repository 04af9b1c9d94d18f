"""Walk users' journeys in a browser; never sees a limit."""

from pytest_deploygate.checks.journeys.probe.declared import walked
from pytest_deploygate.checks.journeys.probe.login import logged_in

__all__ = ["logged_in", "walked"]
