"""Measurements of what the network lets through, as frozen values: no I/O, no limits."""

from __future__ import annotations

from enum import StrEnum

from pytest_deploygate.checks.firewall.expected import Expected
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.lazy import dataclass


class Outcome(StrEnum):
    """What an attempt met, told apart by what came back."""

    OPEN = "open"
    """TCP: the connection was accepted. UDP: an answer came."""
    REFUSED = "refused"
    """TCP: a reset. UDP: ICMP port unreachable. A packet filter may send both."""
    FILTERED = "filtered"
    """TCP: no answer, twice."""
    SILENT = "silent"
    """UDP: no answer, twice. It may be open, or filtered."""
    UNREACHABLE = "unreachable"
    """ICMP said that host or network are unreachable or administratively prohibited."""
    NOT_SENT = "not sent"
    """Nothing left the vantage point: no route, no address of this version of IP, or its own filter forbids it."""
    OWN_LIMIT = "own limit"
    """The vantage point could not try: too many open files, no memory or local port."""
    OWN_LAG = "own lag"
    """No answer, while the vantage point itself was late."""
    UNTRIED = "untried"
    """Not tried: the vantage point has no program for it, or the time was over."""


@dataclass(frozen=True)
class Seen:
    """Attempts of one row from one vantage point at one address that met the same: `ports` as `22,8000-8100`.

    `target` is the host's name, or what the table says. `network` is true if the table names a whole network.
    """

    source: str
    target: str
    address: str
    protocol: str
    ports: str
    number: int
    outcome: Outcome
    expected: Expected
    network: bool = False

    @property
    def ip_version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    @property
    def transport(self) -> str:
        """`tcp` or `udp`."""
        return "tcp" if self.protocol == "tcp" else "udp"


@dataclass(frozen=True)
class Control:
    """A place that the inventory says must be open from a vantage point, and what was met there."""

    source: str
    target: str
    address: str
    protocol: str
    port: int
    outcome: Outcome


@dataclass(frozen=True)
class Vantage:
    """A place from which attempts were made. `of` is how many the table asks for, `tried` how many were chosen.

    `failure` says why a host could not be used. `program` is what made the attempts there. `lacking` says what that
    could not do. `unresolved` are names that have no address.
    """

    name: str
    tried: int
    of: int
    failure: Failure | None = None
    program: str = ""
    lacking: str = ""
    unresolved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listener:
    """A socket that takes what comes from outside of its host. `process` is empty if we may not see it."""

    transport: str
    address: str
    port: int
    process: str = ""


@dataclass(frozen=True)
class Filter:
    """What a packet filter does with what no rule of it mentions, on the way into its host.

    True: it is dropped or rejected; False: it comes in; None: not known, and `why` says why.
    """

    program: str
    ipv4: bool | None
    ipv6: bool | None
    why: str = ""


@dataclass(frozen=True)
class HostSide:
    """What a host says of itself. `listeners` and `has_ipv6` are None if it could not tell; `ephemeral` is its range of
    ports for outgoing packets, and `declared` are those that it may listen on (None: not declared, so not judged).
    `answers` are protocol, address and port of its own UDP services of the table that answered a question of its own.
    """

    name: str
    failure: Failure | None = None
    listeners: tuple[Listener, ...] | None = None
    declared: tuple[tuple[str, int, int], ...] | None = None
    ephemeral: tuple[int, int] = (32768, 60999)
    has_ipv6: bool | None = None
    filters: tuple[Filter, ...] = ()
    answers: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True)
class Network:
    """Everything that was seen. `seed` is that of the draw, where a table was too large to try all of it."""

    seen: tuple[Seen, ...]
    controls: tuple[Control, ...]
    vantages: tuple[Vantage, ...]
    hosts: tuple[HostSide, ...]
    seed: int | None = None
