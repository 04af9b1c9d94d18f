"""Faults of the stack: a wrong version, a wrong image, drift, something down, something that restarts, something sick."""

from __future__ import annotations

from pytest_deploygate.lab import client, nodes
from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import containers, stack
from pytest_deploygate.lab.state import Lab

_INVENTORY = "lab-monitoring"
_STACK, _SERVICES = {"phase1.stack": "fail"}, {"phase1.services": "fail"}
_NEEDS = (stack.NAME,)
_WITH_CONTAINERS = (stack.NAME, containers.API)


def _sick(lab: Lab) -> None:
    nodes.put(lab, stack.where(lab) / "sick", "")


WRONG_VERSION = Fault(
    "stack-wrong-version",
    "the component that was deployed is that of the version before",
    _STACK,
    lambda lab: stack.begin(lab, "2.3.9"),
    stack.begin,
    says="is 2.3.9, expected 2.4.1",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
WRONG_IMAGE = Fault(
    "stack-wrong-image",
    "the container runs the image of another version, under the same name",
    _STACK,
    lambda lab: containers.begin(lab, containers.NEXT),
    containers.begin,
    says="container orders-worker runs the image sha256:",
    needs=_WITH_CONTAINERS,
    inventory=_INVENTORY,
)
DRIFT = Fault(
    "stack-drift",
    "the configuration of the infrastructure wants a larger server than there is",
    _STACK,
    lambda lab: stack.want(lab, 8),
    lambda lab: stack.want(lab, 4),
    says="terraform_data.server (update)",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
DOWN = Fault(
    "service-down",
    "the component is stopped",
    {"phase1.services": "fail", "phase1.stack": "inconclusive"},
    lambda lab: client.stop(lab, stack.NAME),
    stack.begin,
    says="0 running, at least 1 expected",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
SICK = Fault(
    "service-unhealthy",
    "the component runs, and its page of health says that it is not healthy",
    _SERVICES,
    _sick,
    lambda lab: (stack.where(lab) / "sick").unlink(missing_ok=True),
    says="HTTP 503",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
FLAPS = Fault(
    "service-restarts",
    "the container ends with an error half a second after each start, and is started again",
    _SERVICES,
    lambda lab: containers.begin(lab, lives_s=0.4),
    containers.begin,
    says="it restarts",
    needs=_WITH_CONTAINERS,
    inventory=_INVENTORY,
)
