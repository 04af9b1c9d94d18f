"""DNSSEC of a zone: keys, signatures over SOA, DNSKEY and the inventory's names, their expiry, and the parent's DS records (RFC 4034, 4035)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from pytest_deploygate.checks.dns.facts import Chain, Signatures
from pytest_deploygate.checks.dns.section import Dns, NameServer

Send = Callable[..., tuple[dns.message.Message | None, str, int]]
Question = Callable[..., dns.message.Message]


def read(server: NameServer, settings: Dns, send: Send, question: Question) -> Signatures:
    """Validate a server's SOA, DNSKEY and records of the inventory's names with the zone's own keys."""
    origin, timeout_s = dns.name.from_text(settings.zone), settings.timeout.total_seconds()
    keys: dns.rrset.RRset | None = None
    ends: list[datetime] = []
    for name, kind in _wanted(settings, origin):
        asked = question(name.to_text(), dns.rdatatype.to_text(kind), recurse=False, dnssec=True)
        answer, problem, _ = send(server, asked, timeout_s, tcp=True)
        if answer is None:
            return Signatures("unclear", problem)
        if keys is None:
            keys = _find(answer, origin, dns.rdatatype.DNSKEY)
        if keys is None:
            return Signatures("unsigned")
        if answer.edns < 0:
            return Signatures("unclear", "it answers only without EDNS, which signatures need")
        rrset = _find(answer, name, kind)
        if rrset is None and name != origin:
            continue  # there is no such record; missing records are reported elsewhere
        what = f"{name.to_text(omit_final_dot=True)} {dns.rdatatype.to_text(kind)}"
        signatures = _find(answer, name, dns.rdatatype.RRSIG, kind)
        if rrset is None or signatures is None:
            return Signatures("broken", f"{what} has no signature, although the zone has keys")
        mine = [datetime.fromtimestamp(s.expiration, UTC) for s in signatures]
        ends += mine
        try:
            dns.dnssec.validate(rrset, signatures, {origin: keys})
        except dns.exception.DNSException as error:
            past = all(end < datetime.now(UTC) for end in mine)
            return Signatures("expired" if past else "broken", f"{what}: {error}", min(ends))
    return Signatures("valid", until=min(ends))


def _wanted(settings: Dns, origin: dns.name.Name) -> Iterator[tuple[dns.name.Name, Any]]:
    yield origin, dns.rdatatype.DNSKEY
    yield origin, dns.rdatatype.SOA
    for one in settings.names:
        name = dns.name.from_text(one.name)
        if name.is_subdomain(origin):
            kinds = (dns.rdatatype.CNAME,) if one.cname else (dns.rdatatype.A, dns.rdatatype.AAAA)
            yield from ((name, kind) for kind in kinds)


def chain(settings: Dns, send: Send, question: Question) -> Chain:
    """Compare the DS records in the parent zone with the zone's keys: if none matches, validating resolvers return SERVFAIL."""
    origin = dns.name.from_text(settings.zone)
    above, problem = _first(settings.parent, settings, "DS", send, question)
    if above is None or above.rcode() != dns.rcode.NOERROR:
        return Chain("unclear", problem or f"the parent zone answers {dns.rcode.to_text(above.rcode())}")  # type: ignore[union-attr]
    signers = _find(above, origin, dns.rdatatype.DS)
    if signers is None:
        return Chain("none")
    tags = ", ".join(sorted(str(ds.key_tag) for ds in signers))
    answer, problem = _first(settings.servers, settings, "DNSKEY", send, question)
    if answer is None:
        return Chain("unclear", problem)
    keys = _find(answer, origin, dns.rdatatype.DNSKEY) or ()
    if any(_is_of(ds, key, origin) for ds in signers for key in keys):
        return Chain("fits", f"key tag {tags}")
    there = ", ".join(sorted(str(dns.dnssec.key_id(key)) for key in keys)) or "no keys at all"
    return Chain("broken", f"the parent zone has DS records for key tags {tags}, the zone itself has {there}")


def _first(
    servers: list[NameServer], settings: Dns, kind: str, send: Send, question: Question
) -> tuple[dns.message.Message | None, str]:
    problem = ""
    for server in servers:
        asked = question(settings.zone, kind, recurse=False)
        answer, problem, _ = send(server, asked, settings.timeout.total_seconds(), tcp=True)
        if answer is not None:
            return answer, ""
    return None, problem


def _is_of(ds: Any, key: Any, origin: dns.name.Name) -> bool:
    try:
        return bool(dns.dnssec.make_ds(origin, key, ds.digest_type, validating=True) == ds)
    except (dns.exception.DNSException, ValueError):
        return False


def _find(
    answer: dns.message.Message, name: dns.name.Name, kind: Any, covers: Any = dns.rdatatype.NONE
) -> dns.rrset.RRset | None:
    return next(
        (r for r in answer.answer if r.name == name and r.rdtype == kind and r.covers == covers), None
    )
