"""Faults of log delivery: of a host's forwarder, and of the aggregator."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import logs
from pytest_deploygate.lab.services.logs import AGGREGATOR, Forwarding, forwarder
from pytest_deploygate.lab.state import Lab

_ITEMS = {"phase1.logs": "fail"}
_INVENTORY = "lab-monitoring"


def _forwards(name: str, how: Forwarding | None = None) -> Change:
    return lambda lab: logs.forward(lab, name, how)


def _loses(lab: Lab) -> None:
    logs.aggregate(lab, udp_most=70)
    logs.forward(lab, "host2", Forwarding(protocol="udp"))


def _loses_nothing(lab: Lab) -> None:
    logs.aggregate(lab)
    logs.forward(lab, "host2")


STOPPED = Fault(
    "log-forwarder-stopped",
    "the forwarder of host2 is stopped",
    _ITEMS,
    lambda lab: logs.stop(lab, forwarder("host2")),
    _forwards("host2"),
    says="host2: its logging does not take messages",
    needs=(forwarder("host2"),),
    inventory=_INVENTORY,
)
LOST = Fault(
    "log-lost",
    "the forwarder of host3 forwards errors only",
    _ITEMS,
    _forwards("host3", Forwarding(what="*.err")),
    _forwards("host3"),
    says="host3: none of its messages arrived within 3 s, while those of other hosts did",
    needs=(forwarder("host3"),),
    inventory=_INVENTORY,
)
DOUBLED = Fault(
    "log-doubled",
    "the forwarder of host1 sends everything twice",
    _ITEMS,
    _forwards("host1", Forwarding(copies=2)),
    _forwards("host1"),
    says="host1: 104 of its 104 messages arrived twice or more often",
    needs=(forwarder("host1"),),
    inventory=_INVENTORY,
)
WRONG_HOST = Fault(
    "log-wrong-host",
    "the forwarder of host4 sends messages as localhost",
    _ITEMS,
    _forwards("host4", Forwarding(name="localhost")),
    _forwards("host4"),
    says="host4: its message arrived as that of 'localhost'",
    needs=(forwarder("host4"),),
    inventory=_INVENTORY,
)
WRONG_ZONE = Fault(
    "log-wrong-zone",
    "the forwarder of host3 writes the local time of the next zone as UTC",
    _ITEMS,
    _forwards("host3", Forwarding(zone="Etc/GMT-1")),
    _forwards("host3"),
    says="a time zone is wrong by 1 h",
    needs=(forwarder("host3"),),
    inventory=_INVENTORY,
)
UDP = Fault(
    "log-udp-loss",
    "host2 forwards over UDP, and the aggregator drops what comes too fast: a third of a burst",
    _ITEMS,
    _loses,
    _loses_nothing,
    says="of 100 messages that it logged at once did not arrive",
    needs=(AGGREGATOR, forwarder("host2")),
    inventory=_INVENTORY,
)
