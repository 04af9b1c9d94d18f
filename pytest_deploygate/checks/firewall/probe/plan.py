"""What is tried from where: the table with hosts, names and networks filled in, drawn from where it is too large."""

from __future__ import annotations

import ipaddress
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from functools import cache

from pytest_deploygate.checks.firewall.expected import Expected
from pytest_deploygate.checks.firewall.probe.attempts import Key, spelled
from pytest_deploygate.checks.firewall.section import (
    Firewall,
    Ports,
    elsewhere,
    members,
    network,
    places_of,
)
from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.fields.hosts import HERE
from pytest_deploygate.lazy import dataclass

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Returns the addresses of a name, none if it has none.
Resolve = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class Piece:
    """A part of a row: one target, as its network of one or more addresses, and one range of ports."""

    target: str
    network: _Network
    ports: Ports
    expected: Expected

    @property
    def _addresses(self) -> tuple[int, int]:
        """The first address and how many there are: those of a network itself and of its broadcasts are nobody's."""
        first, size = int(self.network.network_address), self.network.num_addresses
        return (first + 1, size - 2) if self.network.version == 4 and size > 2 else (first, size)

    @property
    def whole(self) -> bool:
        """Whether the table names a network of several addresses."""
        return self.network.num_addresses > 1

    @property
    def size(self) -> int:
        """How many attempts it is."""
        return self._addresses[1] * (self.ports.last - self.ports.first + 1)

    def attempt(self, number: int) -> Key:
        """Return one attempt, from 0 to `size` - 1."""
        first, many = self._addresses
        port, address = divmod(number, many)
        kind = ipaddress.IPv4Address if self.network.version == 4 else ipaddress.IPv6Address
        return self.ports.protocol, str(kind(first + address)), self.ports.first + port


@dataclass()
class Plan:
    """What is tried from one vantage point: each attempt with the pieces of the table that ask for it."""

    source: str
    of: int = 0
    asked: dict[Key, list[Piece]] = field(default_factory=lambda: defaultdict(list))
    unresolved: list[str] = field(default_factory=list)

    def lines(self, more: Iterable[Key] = ()) -> list[str]:
        """Return the plan in the form of `attempts`, a line for each address and protocol."""
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for protocol, address, port in dict.fromkeys([*more, *self.asked]):
            groups[protocol, address].append(port)
        return [f"{protocol} {address} {spelled(numbers)}" for (protocol, address), numbers in groups.items()]


def plans(firewall: Firewall, hosts: Hosts | None, resolve: Resolve, seed: int) -> Iterator[Plan]:
    """Yield the plan of each vantage point that the table names, in its order."""
    sources: dict[str, Host | None] = {}
    for rule in firewall.rules:
        for name in rule.from_:
            sources |= {HERE: None} if name == HERE else {host.name: host for host in members(name, hosts)}
    for number, (source, host) in enumerate(sources.items()):
        plan = Plan(source)
        pieces = list(dict.fromkeys(_pieces(firewall, hosts, host, resolve, plan)))
        plan.of = sum(piece.size for piece in pieces)
        # Each vantage point draws its own, so that together they try more of a large network.
        draw = random.Random(seed + number)  # noqa: S311 (a draw that can be repeated)
        for piece, some in _drawn(pieces, firewall.most, draw):
            for each in some:
                plan.asked[piece.attempt(each)].append(piece)
        yield plan


def own_services(firewall: Firewall, hosts: Hosts | None, host: Host, resolve: Resolve) -> list[Key]:
    """Return the UDP services of a host that the table names, at its own addresses: it is asked whether they answer itself.

    Of ports without a question, and of long ranges, none.
    """
    ports = [
        each
        for rule in firewall.rules
        if any(host in members(target, hosts) for target in rule.to)
        for each in rule.ports
        if each.protocol not in ("tcp", "udp") and each.first == each.last
    ]
    addresses = [
        str(net.network_address)
        for place in (places_of(host, firewall) if ports else ())
        for net in networks_of(place, resolve)
    ]
    return list(
        dict.fromkeys((each.protocol, address, each.first) for each in ports for address in addresses)
    )


def _pieces(
    firewall: Firewall, hosts: Hosts | None, source: Host | None, resolve: Resolve, plan: Plan
) -> Iterator[Piece]:
    name = source.name if source else HERE
    for rule in firewall.rules:
        if not any(each == name or (source and source in members(each, hosts)) for each in rule.from_):
            continue
        for target, places in _targets(rule.to, firewall, hosts, source):
            networks = [net for place in places for net in networks_of(place, resolve)]
            if not networks:
                plan.unresolved.append(target)
            for net in networks:
                if net.version in rule.ip_versions:
                    yield from (Piece(target, net, ports, rule.expected) for ports in rule.ports)


def _targets(
    to: Iterable[str], firewall: Firewall, hosts: Hosts | None, source: Host | None
) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield targets with their addresses or names. What a host sends to itself does not cross the network."""
    for target in to:
        if elsewhere(target) and not members(target, hosts):
            yield target, [target]
        for host in members(target, hosts):
            if host is not source:
                yield host.name, places_of(host, firewall)


def networks_of(place: str, resolve: Resolve) -> list[_Network]:
    """Return an address or network, or the addresses of a name."""
    net = network(place)
    return [net] if net else [ipaddress.ip_network(each) for each in resolve(place)]


def _drawn(pieces: list[Piece], most: int, draw: random.Random) -> Iterator[tuple[Piece, Iterable[int]]]:
    """Yield the numbers of the attempts to make. Small pieces are whole, large ones share what is left."""
    left, todo = most, sorted(pieces, key=lambda piece: piece.size)
    for number, piece in enumerate(todo):
        share = max(1, left // (len(todo) - number))
        if piece.size <= share:
            yield piece, range(piece.size)
            left -= piece.size
            continue
        some: set[int] = set()
        while len(some) < share:
            some.add(draw.randrange(piece.size))
        yield piece, sorted(some)
        left -= share


def merged(plan: Plan, letters: Mapping[Key, str]) -> Iterator[tuple[Piece, str, str, str, int]]:
    """Yield (piece, address, letter, ports, number): what attempts of one piece and address met alike."""
    groups: dict[tuple[Piece, str, str], list[int]] = defaultdict(list)
    for key, pieces in plan.asked.items():
        for piece in pieces:
            groups[piece, key[1], letters.get(key, "x")].append(key[2])
    for (piece, address, letter), numbers in groups.items():
        yield piece, address, letter, spelled(numbers), len(set(numbers))


def cached(resolve: Resolve) -> Resolve:
    """Return the same, asking for each name once."""
    return cache(resolve)
