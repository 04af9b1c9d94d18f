"""DNS as each server answers: every authoritative server and resolver, over UDP and TCP, all servers concurrently.

Sources: RFC 1034, 1035, 7766 (TCP), 8659 (CAA), 4035 (DNSSEC).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

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
    Signatures,
    ZoneAt,
    ZoneFacts,
)
from pytest_deploygate.checks.dns.probe import signatures as dns_signatures
from pytest_deploygate.checks.dns.section import Dns, DnsName, NameServer
from pytest_deploygate.clients import reach
from pytest_deploygate.lazy import dataclass

A = TypeVar("A")
T = TypeVar("T")
#: Answers of servers that do not know EDNS.
_NO_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)
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
    caa = _caa(settings, wanted) if wanted.caa else _Caa()
    return NameFacts(wanted.name, datetime.now(UTC), tuple(found), caa.issuers, caa.is_open, caa.problem)


def zone(settings: Dns) -> ZoneFacts:
    """Query every authoritative server for the zone itself, and the parent zone for the delegation.

    A missing answer is a value of the facts; nothing is raised.
    """
    found = side_by_side(lambda server: _zone_at(server, settings), settings.servers)
    delegated, problem = _delegation(settings) if settings.parent else (None, "")
    unnamed = _unnamed(settings, found)
    chain = dns_signatures.chain(settings, send, question) if settings.parent else None
    return ZoneFacts(settings.zone, datetime.now(UTC), tuple(found), delegated, problem, unnamed, chain)


def signed(settings: Dns, wanted: DnsName) -> tuple[tuple[str, Signatures], ...]:
    """Return the DNSSEC of a name at each authoritative server, by its label. A missing answer is a value."""
    found = side_by_side(
        lambda server: dns_signatures.read(server, settings, [wanted], send, question), settings.servers
    )
    return tuple((server.label, one) for server, one in zip(settings.servers, found, strict=True))


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

    As resolvers do, it asks without EDNS where the server does not know it, and over TCP after a truncated answer. A server
    that was silent before in this run over this transport is not asked again, unless `afresh`.
    """
    place = f"{server.label} over {'TCP' if tcp else 'UDP'}"
    if not afresh and (silence := reach.known(place)):
        return None, str(silence), 0
    problem, silent = "", False
    without = _without_edns.get(server.label)
    for attempt in range(1, _ATTEMPTS + 2):
        if attempt > _ATTEMPTS and not (silent and asked.edns >= 0):
            break  # only a server that is silent may be one that drops queries with EDNS
        bare = bool(without) or attempt > _ATTEMPTS
        try:
            answer = _ask(server, _bare(asked) if bare else asked, timeout_s, tcp=tcp)
        except _FAILURES as error:
            problem, silent = _words(error, timeout_s), isinstance(error, dns.exception.Timeout)
            continue
        if not bare and asked.edns >= 0 and answer.rcode() in _NO_EDNS:
            refusal = dns.rcode.to_text(answer.rcode())
            with contextlib.suppress(*_FAILURES):
                plain = _ask(server, _bare(asked), timeout_s, tcp=tcp)
                if plain.rcode() not in _NO_EDNS:
                    _without_edns[server.label] = f"answers {refusal} to EDNS"
                    answer = plain
        elif bare and not without:
            _without_edns[server.label] = "does not answer queries with EDNS"
        reach.heard(place)
        if answer.flags & dns.flags.TC and not tcp:
            return _over_tcp(server, asked, timeout_s, attempt)
        return answer, "", attempt
    if silent and not reach.was_heard(place):
        reach.silent(place, problem)
    return None, problem, _ATTEMPTS


#: What is known of servers that do not answer queries with EDNS (RFC 6891), by label.
_without_edns: dict[str, str] = {}


def edns_trouble(server: NameServer) -> str:
    """Return what went wrong with EDNS at a server; empty if nothing did."""
    return _without_edns.get(server.label, "")


def _ask(
    server: NameServer, asked: dns.message.Message, timeout_s: float, *, tcp: bool
) -> dns.message.Message:
    how = dns.query.tcp if tcp else dns.query.udp
    more = {} if tcp else {"ignore_unexpected": True}
    return how(asked, server.address, timeout=timeout_s, port=server.port, **more)  # type: ignore[arg-type]


def _bare(asked: dns.message.Message) -> dns.message.Message:
    """Return the same question without EDNS."""
    made = copy.copy(asked)
    made.use_edns(-1)
    return made


def _over_tcp(
    server: NameServer, asked: dns.message.Message, timeout_s: float, attempt: int
) -> tuple[dns.message.Message | None, str, int]:
    """Do what resolvers do after a truncated answer: ask again over TCP (RFC 7766)."""
    answer, problem, more = send(server, asked, timeout_s, tcp=True)
    if answer is None:
        return None, f"its answer over UDP is truncated, and over TCP: {problem}", attempt + more
    return answer, "", attempt


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
    aliases: dict[str, str] = {}
    ttls: list[int] = []
    negative: list[int] = []
    rcode, kind_of_rcode, authoritative, attempts = "", "", True, 1
    for kind in kinds:
        answer, problem, tried = send(
            server, question(wanted.name, kind, recurse=recurse), timeout_s, tcp=tcp, afresh=afresh
        )
        attempts = max(attempts, tried)
        if answer is None:
            return Records(transport, problem=f"{kind}: {problem}" if values else problem, attempts=attempts)
        if rcode in ("", "NOERROR"):
            rcode, kind_of_rcode = dns.rcode.to_text(answer.rcode()), kind
        authoritative &= bool(answer.flags & dns.flags.AA)
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.CNAME and not wanted.cname:
                aliases[rrset.name.to_text().rstrip(".").lower()] = rrset[0].to_text().rstrip(".")
                ttls.append(rrset.ttl)
            elif dns.rdatatype.to_text(rrset.rdtype) == kind:
                values += [rdata.to_text().rstrip(".").lower() for rdata in rrset]
                ttls.append(rrset.ttl)
        negative += [
            min(rrset.ttl, rrset[0].minimum)
            for rrset in answer.authority
            if rrset.rdtype == dns.rdatatype.SOA
        ]
    loop = (
        ()
        if values and not wanted.cname
        else _loop(server, wanted.name, aliases, timeout_s, tcp=tcp, recurse=recurse)
    )
    return Records(
        transport,
        rcode,
        authoritative,
        tuple(dict.fromkeys(aliases.values())),
        tuple(sorted(values)),
        min(ttls, default=None),
        "",
        attempts,
        kind_of_rcode,
        max(negative, default=None) if not values and not aliases else None,
        loop,
        edns_trouble(server),
    )


def _loop(
    server: NameServer, name_: str, aliases: dict[str, str], timeout_s: float, *, tcp: bool, recurse: bool
) -> tuple[str, ...]:
    """Follow aliases as far as this server knows them; return those of a loop (RFC 1034 section 3.6.2)."""
    known, at, seen = dict(aliases), name_.rstrip(".").lower(), list[str]()
    while at not in seen and len(seen) < _LONGEST_ALIAS:
        seen.append(at)
        if at not in known:
            answer, _, _ = send(server, question(at, "CNAME", recurse=recurse), timeout_s, tcp=tcp)
            for rrset in answer.answer if answer is not None else ():
                if rrset.rdtype == dns.rdatatype.CNAME:
                    known[rrset.name.to_text().rstrip(".").lower()] = rrset[0].to_text().rstrip(".")
        if at not in known:
            return ()
        at = known[at].lower()
    return (*seen[seen.index(at) :], at) if at in seen else ()


@dataclass(frozen=True)
class _Caa:
    """Who may issue; see NameFacts."""

    issuers: tuple[str, ...] | None = None
    is_open: bool = False
    problem: str = ""


def _caa(settings: Dns, wanted: DnsName) -> _Caa:
    """Read the CAA records of the name, or of the nearest one above it in the zone, as an authority does (RFC 8659)."""
    at, apex = dns.name.from_text(wanted.name), dns.name.from_text(settings.zone)
    wild = at.is_wild()
    while at.is_subdomain(apex):
        found, problem = _caa_at(settings, at)
        if problem:
            return _Caa(problem=problem)
        if found:
            return _read_caa(found, wild=wild)
        at = at.parent()
    return _Caa()


def _caa_at(settings: Dns, at: dns.name.Name) -> tuple[list[Any], str]:
    timeout_s, problem = settings.timeout.total_seconds(), ""
    asked = [(server, False) for server in settings.servers] + [(one, True) for one in settings.resolvers]
    for server, recurse in asked:
        answer, problem, _ = send(server, question(at.to_text(), "CAA", recurse=recurse), timeout_s)
        if answer is None:
            problem = f"{server.label}: {problem}"
            continue
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            problem = f"{server.label} answers {dns.rcode.to_text(answer.rcode())} to CAA, and authorities issue nothing then"
            continue
        found = [r for rrset in answer.answer if rrset.rdtype == dns.rdatatype.CAA for r in rrset]
        aliases = [r[0].target for r in answer.answer if r.rdtype == dns.rdatatype.CNAME]
        if (
            aliases
            and not found
            and not recurse
            and not aliases[-1].is_subdomain(dns.name.from_text(settings.zone))
        ):
            # The records of the alias' target count, which only a resolver can tell.
            problem = f"{at.to_text(omit_final_dot=True)} is an alias of {aliases[-1].to_text(omit_final_dot=True)}, whose CAA records no resolver returned; add `dns.resolvers`"
            continue
        return found, ""
    return [], problem


def _read_caa(found: list[Any], *, wild: bool) -> _Caa:
    """Tags are compared without case (section 4.1), and so are domains; unknown critical tags forbid issuing."""
    by_tag: dict[str, list[str]] = {}
    for record in found:
        tag = record.tag.decode("ascii", "replace").lower()
        if record.flags & 128 and tag not in (
            "issue",
            "issuewild",
            "iodef",
            "issuemail",
            "contactemail",
            "contactphone",
            "issuevmc",
        ):
            return _Caa(problem=f"a critical CAA tag {tag!r} that authorities may not know forbids issuing")
        by_tag.setdefault(tag, []).append(
            record.value.decode("utf-8", "replace").split(";")[0].strip().rstrip(".").lower()
        )
    issuers = by_tag.get("issuewild") if wild and "issuewild" in by_tag else by_tag.get("issue")
    if issuers is None:
        return _Caa((), is_open=True)
    return _Caa(tuple(sorted({issuer for issuer in issuers if issuer})))


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
    apex = dns.name.from_text(settings.zone)
    mine = [r for r in answer.answer if r.name == apex]
    serial = next((r[0].serial for r in mine if r.rdtype == dns.rdatatype.SOA), None)
    alias = next((r[0].target for r in mine if r.rdtype == dns.rdatatype.CNAME), None)
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
        signatures=dns_signatures.read(server, settings, settings.names, send, question),
        alias=alias.to_text(omit_final_dot=True) if alias else "",
        edns=edns_trouble(server),
    )


def _unnamed(settings: Dns, found: Sequence[ZoneAt]) -> tuple[str, ...]:
    """Return the other addresses of the name servers, mostly IPv6: resolvers query them too."""
    known = {server.address for server in settings.servers}
    names = sorted({n for server in found for n in server.names if n.endswith(f".{settings.zone}")})
    answering = [server for server, at in zip(settings.servers, found, strict=True) if not at.problem]
    others = []
    for name_ in names if answering else ():
        # Whatever its addresses are: nothing is compared with the one that is given here.
        wanted, timeout_s = DnsName(name=name_, addresses=["::"]), settings.timeout.total_seconds()
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
