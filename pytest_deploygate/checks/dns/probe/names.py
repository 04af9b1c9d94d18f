"""DNS as each server answers: every authoritative server and resolver, over UDP and TCP, all servers concurrently.

Sources: RFC 1034, 1035, 7766 (TCP), 8659 (CAA), 4035 (DNSSEC).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from pytest_deploygate.checks.dns.facts import (
    NameAt,
    NameFacts,
    Records,
    ZoneAt,
    ZoneFacts,
)
from pytest_deploygate.checks.dns.probe import signatures as dns_signatures
from pytest_deploygate.checks.dns.section import Dns, DnsName, NameServer
from pytest_deploygate.clients import reach

A = TypeVar("A")
T = TypeVar("T")
#: The errors of a query.
_FAILURES = (OSError, dns.exception.DNSException, EOFError)
_AT_ONCE = 64
_ATTEMPTS = 2
_LONGEST_ALIAS = 8


def name(settings: Dns, wanted: DnsName, *, afresh: bool = False) -> NameFacts:
    """Query every server and resolver for a name, over UDP and TCP.

    `afresh` also asks a server that was silent before in this run: for what waits until its answer changes. A missing answer is a value of the facts; nothing is raised.
    """
    asked = [(server, False) for server in settings.servers] + [(r, True) for r in settings.resolvers]
    found = side_by_side(
        lambda one: _name_at(one[0], wanted, settings, resolver=one[1], afresh=afresh), asked
    )
    caa = _caa(settings, wanted) if wanted.caa else None
    return NameFacts(wanted.name, datetime.now(UTC), tuple(found), caa)


def zone(settings: Dns) -> ZoneFacts:
    """Query every authoritative server for the zone itself, and the parent zone for the delegation.

    A missing answer is a value of the facts; nothing is raised.
    """
    found = side_by_side(lambda server: _zone_at(server, settings), settings.servers)
    delegated, problem = _delegation(settings) if settings.parent else (None, "")
    unnamed = _unnamed(settings, found)
    chain = dns_signatures.chain(settings, send, question) if settings.parent else None
    return ZoneFacts(settings.zone, datetime.now(UTC), tuple(found), delegated, problem, unnamed, chain)


def side_by_side(ask: Callable[[A], T], asked: Sequence[A]) -> list[T]:
    """Call `ask` for all concurrently and return the answers in order."""
    with ThreadPoolExecutor(min(_AT_ONCE, max(1, len(asked))), thread_name_prefix="dns") as pool:
        return list(pool.map(ask, asked))


def question(name_: str, kind: str, *, recurse: bool, dnssec: bool = False) -> dns.message.Message:
    """Build a query."""
    made = dns.message.make_query(name_, kind, use_edns=0, payload=1232, want_dnssec=dnssec)
    made.flags = (made.flags | dns.flags.RD) if recurse else (made.flags & ~dns.flags.RD)
    return made


def send(
    server: NameServer,
    asked: dns.message.Message,
    timeout_s: float,
    *,
    tcp: bool = False,
    afresh: bool = False,
) -> tuple[dns.message.Message | None, str, int]:
    """Send a query, with one retry; return the answer, the problem, and the number of attempts.

    A server that was silent before in this run over this transport is not asked again, unless `afresh`.
    """
    place = f"{server.label} over {'TCP' if tcp else 'UDP'}"
    if not afresh and (silence := reach.known(place)):
        return None, str(silence), 0
    problem, silent = "", False
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            how = dns.query.tcp if tcp else dns.query.udp
            more = {} if tcp else {"ignore_unexpected": True}
            answer = how(asked, server.address, timeout=timeout_s, port=server.port, **more)  # type: ignore[arg-type]
        except _FAILURES as error:
            problem, silent = _words(error, timeout_s), isinstance(error, dns.exception.Timeout)
        else:
            reach.heard(place)
            return answer, "", attempt
    if silent and not reach.was_heard(place):
        reach.silent(place, problem)
    return None, problem, _ATTEMPTS


def _words(error: BaseException, timeout_s: float) -> str:
    if isinstance(error, dns.exception.Timeout):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused)"
    if ours := reach.why_ours(error):
        return ours
    return f"{type(error).__name__}: {error}"


def _name_at(server: NameServer, wanted: DnsName, settings: Dns, *, resolver: bool, afresh: bool) -> NameAt:
    timeout_s = settings.timeout.total_seconds()
    over = [
        _records(server, wanted, timeout_s, tcp=tcp, recurse=resolver, afresh=afresh) for tcp in (False, True)
    ]
    return NameAt(server.label, resolver, tuple(over))


def _records(
    server: NameServer, wanted: DnsName, timeout_s: float, *, tcp: bool, recurse: bool, afresh: bool = False
) -> Records:
    """Query A and AAAA, or only the alias, and merge the answers."""
    transport = "TCP" if tcp else "UDP"
    kinds = ("CNAME",) if wanted.cname else ("A", "AAAA")
    values: list[str] = []
    aliases: list[str] = []
    ttls: list[int] = []
    rcode, authoritative, attempts = "", True, 1
    for kind in kinds:
        answer, problem, tried = send(
            server, question(wanted.name, kind, recurse=recurse), timeout_s, tcp=tcp, afresh=afresh
        )
        attempts = max(attempts, tried)
        if answer is None:
            return Records(transport, problem=problem, attempts=attempts)
        rcode = dns.rcode.to_text(answer.rcode()) if rcode in ("", "NOERROR") else rcode
        authoritative &= bool(answer.flags & dns.flags.AA)
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.CNAME and not wanted.cname:
                aliases.append(rrset[0].to_text().rstrip("."))
                ttls.append(rrset.ttl)
            elif dns.rdatatype.to_text(rrset.rdtype) == kind:
                values += [rdata.to_text().rstrip(".").lower() for rdata in rrset]
                ttls.append(rrset.ttl)
    return Records(
        transport,
        rcode,
        authoritative,
        tuple(dict.fromkeys(aliases)),
        tuple(sorted(values)),
        min(ttls, default=None),
        "",
        attempts,
    )


def _caa(settings: Dns, wanted: DnsName) -> tuple[str, ...] | None:
    """Return the authorities that may issue: the CAA records of the name, or of the nearest one above it in the zone (RFC 8659)."""
    at, apex = dns.name.from_text(wanted.name), dns.name.from_text(settings.zone)
    timeout_s = settings.timeout.total_seconds()
    while at.is_subdomain(apex):
        for server in settings.servers:
            answer, _, _ = send(server, question(at.to_text(), "CAA", recurse=False), timeout_s)
            if answer is None:
                continue
            found = [r for rrset in answer.answer if rrset.rdtype == dns.rdatatype.CAA for r in rrset]
            if found:
                return tuple(
                    sorted(r.value.decode().split(";")[0].strip() for r in found if r.tag == b"issue")
                )
            break
        at = at.parent()
    return None


def _zone_at(server: NameServer, settings: Dns) -> ZoneAt:
    timeout_s = settings.timeout.total_seconds()
    answer, problem, _ = send(server, question(settings.zone, "SOA", recurse=True), timeout_s)
    if answer is None:
        return ZoneAt(
            server.label,
            server.name,
            f"{server.address}:{server.port}",
            problem=problem,
            ours=bool(reach.why_ours_in(problem)),
        )
    serial = next((r[0].serial for r in answer.answer if r.rdtype == dns.rdatatype.SOA), None)
    names, _, _ = send(server, question(settings.zone, "NS", recurse=False), timeout_s)
    return ZoneAt(
        server=server.label,
        name=server.name,
        address=f"{server.address}:{server.port}",
        authoritative=bool(answer.flags & dns.flags.AA) and serial is not None,
        rcode=dns.rcode.to_text(answer.rcode()),
        serial=serial,
        names=_targets(names.answer if names else []),
        recursion=bool(answer.flags & dns.flags.RA),
        transfer=_transfer(server, settings.zone, timeout_s),
        signatures=dns_signatures.read(server, settings, send, question),
    )


def _unnamed(settings: Dns, found: Sequence[ZoneAt]) -> tuple[str, ...]:
    """Return the other addresses of the name servers, mostly IPv6: resolvers query them too."""
    known = {server.address for server in settings.servers}
    names = sorted({n for server in found for n in server.names if n.endswith(f".{settings.zone}")})
    answering = [server for server, at in zip(settings.servers, found, strict=True) if not at.problem]
    others = []
    for name_ in names if answering else ():
        wanted, timeout_s = DnsName(name=name_, addresses=["::/0"]), settings.timeout.total_seconds()
        seen = _records(answering[0], wanted, timeout_s, tcp=False, recurse=False)
        others += [f"{name_} ({address})" for address in seen.values if address not in known]
    return tuple(others)


def _targets(section: Sequence[dns.rrset.RRset]) -> tuple[str, ...]:
    return tuple(
        sorted(
            r.to_text().rstrip(".").lower()
            for rrset in section
            if rrset.rdtype == dns.rdatatype.NS
            for r in rrset
        )
    )


def _transfer(server: NameServer, zone_: str, timeout_s: float) -> str:
    """Try to transfer the zone; only the first message is read."""
    try:
        answer = dns.query.tcp(
            dns.message.make_query(zone_, "AXFR"), server.address, timeout=timeout_s, port=server.port
        )
    except (EOFError, ConnectionError):
        return "refused"
    except _FAILURES:
        return "unclear"
    return "allowed" if answer.answer else "refused"


def _delegation(settings: Dns) -> tuple[tuple[str, ...] | None, str]:
    problem = ""
    for server in settings.parent:
        answer, problem, _ = send(
            server, question(settings.zone, "NS", recurse=False), settings.timeout.total_seconds()
        )
        if answer is None:
            continue
        if names := _targets([*answer.answer, *answer.authority]):
            return names, ""
        problem = f"{server.label} answers {dns.rcode.to_text(answer.rcode())} without a delegation"
    return None, problem
