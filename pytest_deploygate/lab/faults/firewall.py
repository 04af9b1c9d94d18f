"""Faults of the network: what is open, closed, or listens, and should not."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import network
from pytest_deploygate.lab.services.network import BRIDGE, NAMES, server
from pytest_deploygate.lab.state import Lab

_ITEMS = {"sec.firewall": "fail"}
_NEEDS = (BRIDGE, *map(server, NAMES))
_IN, _OUT = "inet gate input", "inet gate output"


def _rule(name: str, command: str) -> Change:
    """Return a change of one host's filter."""
    return lambda lab: network.nft(lab, name, command)


def _anew(name: str) -> Change:
    return lambda lab: network.filter_anew(lab, name)


def _listens(lab: Lab) -> None:
    network.listen(lab, "host3", "tcp/8099")


OPEN = Fault(
    "firewall-port-open",
    "the filter of host2 lets everybody reach its database",
    _ITEMS,
    _rule("host2", f"insert rule {_IN} tcp dport 5432 accept"),
    _anew("host2"),
    says="host2 tcp/5432 open, expected closed",
    needs=_NEEDS,
)
BLOCKED = Fault(
    "firewall-port-blocked",
    "the filter of host3 drops what host1 sends to its database",
    _ITEMS,
    lambda lab: network.nft(
        lab, "host3", f"insert rule {_IN} ip saddr {network.addresses(lab, 11)[0]} tcp dport 5432 drop"
    ),
    _anew("host3"),
    says="host3 tcp/5432 over IPv4 alone filtered, expected open",
    needs=_NEEDS,
)
IPV6 = Fault(
    "firewall-ipv6-hole",
    "the filter of host2 lets everybody reach its database over IPv6",
    _ITEMS,
    _rule("host2", f"insert rule {_IN} meta nfproto ipv6 tcp dport 5432 accept"),
    _anew("host2"),
    says="host2 tcp/5432 over IPv6 alone open, expected closed",
    needs=_NEEDS,
)
UDP = Fault(
    "firewall-udp-hole",
    "the filter of host1 lets everybody reach its name server over UDP",
    _ITEMS,
    _rule("host1", f"insert rule {_IN} udp dport 53 accept"),
    _anew("host1"),
    says="host1 dns/53 open, expected closed",
    needs=_NEEDS,
)
UDP_BLOCKED = Fault(
    "firewall-udp-blocked",
    "the filter of host1 drops what host2 asks its name server over UDP",
    _ITEMS,
    lambda lab: network.nft(
        lab, "host1", f"insert rule {_IN} ip saddr {network.addresses(lab, 12)[0]} udp dport 53 drop"
    ),
    _anew("host1"),
    says="host1 dns/53 over IPv4 alone filtered, expected open",
    needs=_NEEDS,
)
EGRESS = Fault(
    "firewall-egress-open",
    "host1 may reach addresses outside",
    _ITEMS,
    _rule("host1", f"flush chain {_OUT}"),
    _anew("host1"),
    says=f"{network.OUTSIDE} tcp/443 open, expected closed",
    needs=_NEEDS,
)
LISTENER = Fault(
    "firewall-listener",
    "something listens on port 8099 of host3, which nobody declared and its filter hides",
    _ITEMS,
    _listens,
    network.silence,
    says="host3: listens on tcp/8099",
    needs=_NEEDS,
)
POLICY = Fault(
    "firewall-policy-accept",
    "the filter of host1 accepts what no rule mentions",
    _ITEMS,
    _rule("host1", f"chain {_IN} {{ policy accept ; }}"),
    _anew("host1"),
    says="the default policy of nftables over IPv4 and IPv6 lets in what no rule mentions",
    needs=_NEEDS,
)
