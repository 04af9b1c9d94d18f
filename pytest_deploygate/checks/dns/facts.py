"""What is measured of zones, names and switches, as frozen values: no I/O, no limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from pytest_deploygate.checks.dns.section import DnsName, networks


@dataclass(frozen=True, slots=True)
class Records:
    """One server's answer over one transport. `rcode` is empty where there was none; `problem` says why.

    `values` are sorted addresses, or the target of an alias; `ttl_s` is the smallest of the records'.
    """

    transport: str
    rcode: str = ""
    authoritative: bool = False
    aliases: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    ttl_s: int | None = None
    problem: str = ""
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class NameAt:
    """A name as one server gives it. `resolver` tells those that users ask from those that serve the zone."""

    server: str
    resolver: bool
    over: tuple[Records, ...]


@dataclass(frozen=True, slots=True)
class NameFacts:
    """A name everywhere, at one moment. `caa` are the authorities allowed to issue; None: no CAA record, or not asked."""

    name: str
    at: datetime
    servers: tuple[NameAt, ...]
    caa: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ZoneAt:
    """The zone as one authoritative server has it. `transfer` is refused, allowed or unclear. `problem`: no answer."""

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


@dataclass(frozen=True, slots=True)
class ZoneFacts:
    """The zone on every server; `delegated` are the names that the zone above gives, None where it was not asked.

    `chain` is about DS records, None where the zone above was not asked. `unnamed` are addresses that the zone gives its name servers and that were not asked, `name (address)` each.
    """

    zone: str
    at: datetime
    servers: tuple[ZoneAt, ...]
    delegated: tuple[str, ...] | None = None
    delegation_problem: str = ""
    unnamed: tuple[str, ...] = ()
    chain: Chain | None = None


@dataclass(frozen=True, slots=True)
class Switch:
    """What was seen of a switch. `first_all_s` is when everybody had the new answer, None if never before the deadline."""

    facts: NameFacts
    rounds: int
    elapsed_s: float
    first_all_s: float | None
    earlier: tuple[Observation, ...]


def is_new(server: NameAt, wanted: DnsName) -> bool:
    """Tell whether a server gives the wanted answer, and nothing else, over each transport."""
    return all(records.values and fits(records.values, wanted) for records in server.over)


def fits(values: tuple[str, ...], wanted: DnsName) -> bool:
    """Tell whether all values are among the wanted ones: an address in a block, or the target."""
    if wanted.cname:
        return values == (wanted.cname.rstrip(".").lower(),)
    blocks = networks(wanted.addresses or [])
    return all(any(ip_address(value) in block for block in blocks) for value in values)


def says(server: NameAt) -> str:
    """Say what a server answers, in few words."""
    said = []
    for records in server.over:
        words = ", ".join(records.values) or records.problem or f"{records.rcode}, no record"
        said.append(f"{words} (TTL {records.ttl_s})" if records.ttl_s is not None else words)
    return " | ".join(dict.fromkeys(said))


@dataclass(frozen=True, slots=True)
class FailoverFacts:
    """What a drill found: seconds from the stop until every server gave the standby, and from the restore until none did.

    None for what was not reached.
    """

    name: str
    switched_s: float | None
    back_s: float | None


@dataclass(frozen=True, slots=True)
class Observation:
    """A name on the authoritative servers at one moment: every value given, and the greatest TTL."""

    at: datetime
    name: str
    values: tuple[str, ...]
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Health:
    """HTTP status of the standby, None without an answer; `primary_status` is the control: the site in use."""

    place: str
    path: str
    status: int | None
    attempts: int
    problem: str = ""
    primary_status: int | None = None


@dataclass(frozen=True, slots=True)
class Signatures:
    """`state` is unsigned, valid, expired, broken or unclear; `detail` says what was wrong. `until` ends the first one."""

    state: str
    detail: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Whether the DS records in the zone above fit the zone's keys: none, fits, broken or unclear, with the detail."""

    state: str
    detail: str = ""
