"""Measurements of zones, names and switches as frozen values: no I/O, no limit."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass

if TYPE_CHECKING:
    from pytest_deploygate.checks.dns.section import DnsName


@dataclass(frozen=True)
class Records:
    """One server's answer over one transport. `rcode` is empty where there was none; `problem` says why.

    `values` are sorted addresses, or the target of an alias; `ttl_s` is the smallest TTL of the records. `kind` is the
    type of the question that got `rcode`, `negative_ttl_s` how long resolvers keep that there is no record, `loop` an alias
    that leads back to itself. `edns` is what went wrong with EDNS where the answer came without it.
    """

    transport: str
    rcode: str = ""
    authoritative: bool = False
    aliases: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    ttl_s: int | None = None
    problem: str = ""
    attempts: int = 1
    kind: str = ""
    negative_ttl_s: int | None = None
    loop: tuple[str, ...] = ()
    edns: str = ""


@dataclass(frozen=True)
class NameAt:
    """A name as one server returns it. `resolver` is True for users' resolvers, False for servers of the zone."""

    server: str
    resolver: bool
    over: tuple[Records, ...]


@dataclass(frozen=True)
class NameFacts:
    """A name on every server, at one moment. `caa` are the authorities allowed to issue (in lower case).

    None: no CAA record, or not queried. `caa_open`: there are records, but none that restricts issuing for this name.
    `caa_problem` says why they are unknown, or why no authority may issue whatever they say.
    """

    name: str
    at: datetime
    servers: tuple[NameAt, ...]
    caa: tuple[str, ...] | None = None
    caa_open: bool = False
    caa_problem: str = ""


@dataclass(frozen=True)
class ZoneAt:
    """The zone as one authoritative server has it. `transfer` is refused, allowed or unclear. `problem`: no answer.

    `ours`: the query did not leave our own side (no route, a firewall here). `alias` is the target of an alias that
    stands where the zone should be, `edns` what went wrong with EDNS where the answers came without it.
    """

    server: str
    name: str
    address: str
    authoritative: bool = False
    rcode: str = ""
    serial: int | None = None
    names: tuple[str, ...] = ()
    recursion: bool | None = None
    transfer: str = "unclear"
    signatures: Signatures | None = None
    problem: str = ""
    ours: bool = False
    alias: str = ""
    edns: str = ""


@dataclass(frozen=True)
class ZoneFacts:
    """The zone on every server; `delegated` are the name servers in the parent zone, None if it was not queried.

    `chain` is about DS records, None if the parent zone was not queried. `unnamed` are addresses of the zone's name
    servers that were not queried, each as `name (address)`.
    """

    zone: str
    at: datetime
    servers: tuple[ZoneAt, ...]
    delegated: tuple[str, ...] | None = None
    delegation_problem: str = ""
    unnamed: tuple[str, ...] = ()
    chain: Chain | None = None


@dataclass(frozen=True)
class Switch:
    """What was seen of a switch. `first_all_s` is when every server had the new answer, None if not before the deadline.

    `clean` are the rounds at the end in which every server had it, `fell_back` the servers that had it and then did not,
    with the number of rounds. `signed` is the DNSSEC of the new answer at each authoritative server, by label.
    """

    facts: NameFacts
    rounds: int
    elapsed_s: float
    first_all_s: float | None
    earlier: tuple[Observation, ...]
    clean: int = 1
    fell_back: tuple[tuple[str, int], ...] = ()
    lag: OwnLag = field(default_factory=OwnLag)
    signed: tuple[tuple[str, Signatures], ...] = ()


def is_new(server: NameAt, wanted: DnsName) -> bool:
    """Return whether a server returns the wanted answer, and nothing else, over each transport."""
    return all(records.values and fits(records.values, wanted) for records in server.over)


def fits(values: tuple[str, ...], wanted: DnsName) -> bool:
    """Return whether all values are among the wanted ones (an address in a block, or the target), and no family is lacking."""
    if wanted.cname:
        return values == (wanted.cname.rstrip(".").lower(),)
    return _within(values, wanted) and not lacking(values, wanted)


def _within(values: tuple[str, ...], wanted: DnsName) -> bool:
    blocks = wanted.blocks
    return all(any(ip_address(value) in block for block in blocks) for value in values)


def lacking(values: tuple[str, ...], wanted: DnsName) -> str:
    """Say which kind of record an answer lacks whose addresses are as wanted otherwise; empty if it lacks none.

    Servers that rotate return some addresses of many, but never drop all of a family. A block says where answers may be,
    not that there are any.
    """
    if not values or wanted.cname or not _within(values, wanted):
        return ""
    there = {ip_address(value).version for value in values}
    lost = [n for n in wanted.blocks if n.num_addresses == 1 and n.version not in there]
    kind = "AAAA" if lost and lost[0].version == 6 else "A"
    return (
        f"has no {kind} record, expected {', '.join(str(n.network_address) for n in lost)} too"
        if lost
        else ""
    )


def says(server: NameAt) -> str:
    """Return a server's answer as a short text."""
    said = []
    for records in server.over:
        words = ", ".join(records.values) or records.problem or f"{records.rcode}, no record"
        said.append(f"{words} (TTL {records.ttl_s})" if records.ttl_s is not None else words)
    return " | ".join(dict.fromkeys(said))


@dataclass(frozen=True)
class FailoverFacts:
    """The result of a drill: seconds from the stop until every server returned the standby, and from the restore until none did.

    None for what was not reached.
    """

    name: str
    switched_s: float | None
    back_s: float | None
    lag: OwnLag = field(default_factory=OwnLag)


@dataclass(frozen=True)
class Observation:
    """A name on the authoritative servers at one moment: every value returned (none: no record), and the highest TTL."""

    at: datetime
    name: str
    values: tuple[str, ...]
    ttl_s: int


@dataclass(frozen=True)
class Health:
    """HTTP status of the standby, None without an answer; `primary_status` is the control: the active site.

    `ours`: the request did not leave our own side (no route, a firewall here), so the control proves nothing. `lacking` is
    what is wrong with the body of a 200, `unseen`: nothing is known of what it should contain.
    """

    place: str
    path: str
    status: int | None
    attempts: int
    problem: str = ""
    primary_status: int | None = None
    ours: bool = False
    lacking: str = ""
    unseen: bool = False


@dataclass(frozen=True)
class Signatures:
    """`state` is unsigned, valid, expired, broken or unclear; `detail` says what was wrong. `until` is when the first one expires."""

    state: str
    detail: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class Chain:
    """Whether the DS records in the parent zone match the zone's keys: none, fits, broken or unclear, with the detail."""

    state: str
    detail: str = ""
