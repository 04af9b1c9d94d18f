"""Faults of the ways between hosts and services: one cell cut, a name missing, a certificate not trusted, long packets lost."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import hosts, network, reached
from pytest_deploygate.lab.state import Lab

_ITEMS = {"phase1.connectivity": "fail"}
_NEEDS = (reached.NAME, *hosts.NAMES)
_INVENTORY = "lab-monitoring"


def _cut(lab: Lab) -> None:
    network.nft(lab, "host2", f"insert rule inet gate output tcp dport {reached.TLS_PORT} drop")


def _no_name(lab: Lab) -> None:
    hosts.write(lab, "host3", "hosts", hosts.NAMES_FILE)


def _named(lab: Lab) -> None:
    hosts.write(lab, "host3", "hosts", reached.names(lab))


def _not_trusted(lab: Lab) -> None:
    hosts.write(lab, "host1", hosts.TRUSTED_FILE, reached.stranger())


def _long_lost(lab: Lab) -> None:
    ports = f"{{ {reached.PORT}, {reached.TLS_PORT} }}"
    network.nft(lab, "host2", f"insert rule inet gate output tcp dport {ports} meta length > 900 drop")


CUT = Fault(
    "connectivity-cell-cut",
    "a filter of host2 drops what it sends to the API; the other hosts reach it",
    _ITEMS,
    _cut,
    lambda lab: network.filter_anew(lab, "host2"),
    says="host2 → api: TCP: no answer within",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
NO_NAME = Fault(
    "connectivity-name-missing",
    "host3 does not know the name of the API",
    _ITEMS,
    _no_name,
    _named,
    says="host3 → api: name:",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
NOT_TRUSTED = Fault(
    "connectivity-tls-untrusted",
    "host1 trusts another authority than that of the API's certificate",
    _ITEMS,
    _not_trusted,
    lambda lab: reached.trust(lab, "host1"),
    says="host1 → api: TLS: certificate not trusted",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
LONG_PACKETS = Fault(
    "connectivity-long-packets-lost",
    "the way to host2 swallows packets of more than 900 bytes, and says so to nobody",
    _ITEMS,
    _long_lost,
    lambda lab: network.filter_anew(lab, "host2"),
    says="path MTU: packets with",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
