"""Faults of the application's replicas: an old version, one that is not ready, one that restarts."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import platform
from pytest_deploygate.lab.state import Lab

_INVENTORY = "lab-application"
_NEEDS = (platform.BALANCER,)
_SECOND = platform.REPLICAS[1]


def _switched(**switches: object) -> Change:
    return lambda lab: platform.change(lab, **switches)


def _loop(lab: Lab) -> None:
    platform.restart_again_and_again(lab, _SECOND)


def _steady(lab: Lab) -> None:
    platform.restart(lab, _SECOND)


OLD = Fault(
    "replica-old",
    "one of the two replicas runs the version before",
    {"phase3.containers": "fail"},
    _switched(version={_SECOND: "2.3.9"}),
    _switched(version=None),
    says="is 2.3.9, expected 2.4.0",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
UNREADY = Fault(
    "replica-not-ready",
    "one of the two replicas runs, and says that it is not ready",
    {"phase3.services": "fail"},
    lambda lab: platform.unready(lab, _SECOND),
    platform.ready,
    says="HTTP 503",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
LOOP = Fault(
    "replica-restarts",
    "one of the two replicas is ended and started again before it can do its work",
    {"phase3.containers": "fail", "phase3.services": "fail"},
    _loop,
    _steady,
    says="platform2 (process",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
