"""DNSSEC of a zone, as resolvers that validate see it: keys, signatures over SOA, DNSKEY and the answers about the
inventory's names, their expiry, and the parent's DS records (RFC 4034, 4035, 5155).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from pytest_deploygate.checks.dns.facts import Chain, Signatures
from pytest_deploygate.checks.dns.section import Dns, DnsName, NameServer
from pytest_deploygate.lazy import dataclass

Send = Callable[..., tuple[dns.message.Message | None, str, int]]
Question = Callable[..., dns.message.Message]
_DENIALS = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
_MOST_ALIASES = 32


class _BogusError(Exception):
    """Why a resolver that validates would not accept an answer; `ends` are those of the signatures that do not fit."""

    def __init__(self, said: str, ends: Iterable[datetime] = ()) -> None:
        super().__init__(said)
        self.ends = tuple(ends)


@dataclass(frozen=True)
class _Zone:
    """A zone at one server: its keys, and a way to ask which zone an owner is in there."""

    origin: dns.name.Name
    keys: dns.rrset.RRset
    has: Callable[[dns.name.Name], bool]


def read(
    server: NameServer, settings: Dns, names: Sequence[DnsName], send: Send, question: Question
) -> Signatures:
    """Validate a server's SOA, DNSKEY and answers about these names with the zone's own keys."""
    origin, timeout_s = dns.name.from_text(settings.zone), settings.timeout.total_seconds()

    def ask(name: dns.name.Name, kind: Any) -> tuple[dns.message.Message | None, str]:
        asked = question(name.to_text(), dns.rdatatype.to_text(kind), recurse=False, dnssec=True)
        answer, problem, _ = send(server, asked, timeout_s, tcp=True)
        if answer is not None and answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return None, f"it answers {dns.rcode.to_text(answer.rcode())} to {_what(name, kind)}"
        return answer, problem

    def has(name: dns.name.Name) -> bool:
        answer, _ = ask(name, dns.rdatatype.SOA)
        sections = (*answer.answer, *answer.authority) if answer else ()
        return origin in {r.name for r in sections if r.rdtype == dns.rdatatype.SOA}

    keys: dns.rrset.RRset | None = None
    ends: list[datetime] = []
    for name, kind in _wanted(names, origin):
        answer, problem = ask(name, kind)
        if answer is None:
            return Signatures("unclear", problem)
        if keys is None:
            keys = _find(answer.answer, origin, dns.rdatatype.DNSKEY)
        if keys is None:
            return Signatures("unsigned")
        if answer.edns < 0:
            return Signatures("unclear", "it answers only without EDNS, which signatures need")
        if not answer.flags & dns.flags.AA:
            continue  # a referral to a zone below
        zone = _Zone(origin, keys, has)
        try:
            ends += [*_records(answer, zone), *_proof(answer, name, kind, zone)]
        except _BogusError as bogus:
            past = bool(bogus.ends) and all(end < datetime.now(UTC) for end in bogus.ends)
            return Signatures("expired" if past else "broken", str(bogus), min(bogus.ends, default=None))
    if not ends:
        return Signatures("unclear", "it is not authoritative for its own keys")
    return Signatures("valid", until=min(ends))


def _what(name: dns.name.Name, kind: Any) -> str:
    return f"{name.to_text(omit_final_dot=True)} {dns.rdatatype.to_text(kind)}"


def _wanted(names: Sequence[DnsName], origin: dns.name.Name) -> Iterator[tuple[dns.name.Name, Any]]:
    yield origin, dns.rdatatype.DNSKEY
    yield origin, dns.rdatatype.SOA
    for one in names:
        name = dns.name.from_text(one.name)
        if name.is_subdomain(origin):
            kinds = (dns.rdatatype.CNAME,) if one.cname else (dns.rdatatype.A, dns.rdatatype.AAAA)
            yield from ((name, kind) for kind in kinds)


def _records(answer: dns.message.Message, zone: _Zone) -> Iterator[datetime]:
    """Yield until when each set of records is signed, aliases on the way among them. Raises _BogusError."""
    given = [r for r in answer.answer if r.rdtype != dns.rdatatype.RRSIG]
    renamed = [r.name for r in given if r.rdtype == dns.rdatatype.DNAME]
    for rrset in given:
        made = rrset.rdtype == dns.rdatatype.CNAME and any(rrset.name.is_subdomain(name) for name in renamed)
        # The alias that is made of a DNAME has no signature (RFC 6672), and what belongs to another zone has other keys.
        if not made and rrset.name.is_subdomain(zone.origin):
            yield from _signed(answer.answer, rrset, zone)


def _proof(answer: dns.message.Message, name: dns.name.Name, kind: Any, zone: _Zone) -> Iterator[datetime]:
    """Yield until when the proof is signed that there is no such record, or no such name before a wildcard. Raises _BogusError.

    Which names the proof covers is not compared.
    """
    at, expanded = name, False
    for _ in range(_MOST_ALIASES if kind != dns.rdatatype.CNAME else 0):
        if (alias := _find(answer.answer, at, dns.rdatatype.CNAME)) is None:
            break
        expanded |= _is_expanded(answer.answer, alias)
        at = alias[0].target
    last = _find(answer.answer, at, kind)
    soa = next((r for r in answer.authority if r.rdtype == dns.rdatatype.SOA), None)
    if soa is not None and soa.name != zone.origin:
        return  # another zone's, on the same server
    if last is None and at != name and soa is None:
        return  # it leaves the rest to the resolver
    if last is not None and not expanded and not _is_expanded(answer.answer, last):
        return
    denials = [r for r in answer.authority if r.rdtype in _DENIALS and r.name.is_subdomain(zone.origin)]
    if not denials:
        missing = "the record" if last is None else "the name itself, before the wildcard,"
        raise _BogusError(
            f"{_what(at, kind)}: there is no proof that {missing} does not exist (NSEC or NSEC3)"
        )
    for rrset in denials if soa is None else [soa, *denials]:
        yield from _signed(answer.authority, rrset, zone)


def _is_expanded(section: Sequence[dns.rrset.RRset], rrset: dns.rrset.RRset) -> bool:
    """Tell whether records were made of a wildcard: their signature is over fewer labels (RFC 4035 section 5.3.4)."""
    signatures = _find(section, rrset.name, dns.rdatatype.RRSIG, rrset.rdtype) or ()
    own = len(rrset.name) - 1 - rrset.name.is_wild()
    return any(one.labels < own for one in signatures)


def _signed(section: Sequence[dns.rrset.RRset], rrset: dns.rrset.RRset, zone: _Zone) -> Iterator[datetime]:
    """Yield until when records are signed; one signature that fits is enough. Raises _BogusError.

    The first end counts: resolvers that bound their attempts (BIND since 9.18.24) may stop at one that has expired. The
    signature of a key that is gone is not tried by them.
    """
    found = _find(section, rrset.name, dns.rdatatype.RRSIG, rrset.rdtype) or ()
    mine = [one for one in found if one.signer == zone.origin]
    what = _what(rrset.name, rrset.rdtype)
    if not mine:
        if zone.has(rrset.name):
            raise _BogusError(f"{what} has no signature, although the zone has keys")
        return
    tags = {dns.dnssec.key_id(key) for key in zone.keys}
    tried = [one for one in mine if one.key_tag in tags]
    said = f"it is signed by key tag {', '.join(str(one.key_tag) for one in mine)} alone, which the zone does not have"
    for one in tried:
        try:
            dns.dnssec.validate_rrsig(rrset, one, {zone.origin: zone.keys})
        except dns.exception.DNSException as error:
            said = str(error)
        else:
            yield min(map(_end, tried))
            return
    raise _BogusError(f"{what}: {said}", map(_end, tried))


def _end(signature: Any) -> datetime:
    return datetime.fromtimestamp(signature.expiration, UTC)


def chain(settings: Dns, send: Send, question: Question) -> Chain:
    """Compare the DS records in the parent zone with the keys at each server, as resolvers that validate do.

    The key of one DS record must be there and sign the keys, else these resolvers return SERVFAIL.
    """
    origin, timeout_s = dns.name.from_text(settings.zone), settings.timeout.total_seconds()
    above, problem = None, ""
    for server in settings.parent:
        above, problem, _ = send(server, question(settings.zone, "DS", recurse=False), timeout_s, tcp=True)
        if above is not None:
            break
    if above is None or above.rcode() != dns.rcode.NOERROR:
        return Chain("unclear", problem or f"the parent zone answers {dns.rcode.to_text(above.rcode())}")  # type: ignore[union-attr]
    signers = _find(above.answer, origin, dns.rdatatype.DS)
    if signers is None:
        return Chain("none")
    tags = ", ".join(sorted(str(ds.key_tag) for ds in signers))
    unclear, answered = "", False
    for server in settings.servers:
        asked = question(settings.zone, "DNSKEY", recurse=False, dnssec=True)
        answer, problem, _ = send(server, asked, timeout_s, tcp=True)
        if answer is not None and answer.rcode() != dns.rcode.NOERROR:
            problem = f"{server.label} answers {dns.rcode.to_text(answer.rcode())} to DNSKEY"
        if answer is None or answer.rcode() != dns.rcode.NOERROR:
            unclear = problem
            continue
        answered = True
        if wrong := _unlinked(answer, signers, origin):
            return Chain(
                "broken", f"the parent zone has DS records for key tags {tags}, {server.label} has {wrong}"
            )
    return Chain("fits", f"key tag {tags}") if answered else Chain("unclear", unclear)


def _unlinked(answer: dns.message.Message, signers: dns.rrset.RRset, origin: dns.name.Name) -> str:
    """Say what a server has instead of keys that are signed by a key of a DS record; empty if it has those."""
    keys = _find(answer.answer, origin, dns.rdatatype.DNSKEY)
    there = ", ".join(sorted(str(dns.dnssec.key_id(key)) for key in keys or ())) or "no keys at all"
    linked = [key for key in keys or () if any(_is_of(ds, key, origin) for ds in signers)]
    if keys is None or not linked:
        return there
    anchors = dns.rrset.from_rdata_list(origin, keys.ttl, linked)
    for one in _find(answer.answer, origin, dns.rdatatype.RRSIG, dns.rdatatype.DNSKEY) or ():
        with contextlib.suppress(dns.exception.DNSException):
            dns.dnssec.validate_rrsig(keys, one, {origin: anchors})
            return ""
    return f"{there}, which no key with a DS record signs"


def _is_of(ds: Any, key: Any, origin: dns.name.Name) -> bool:
    try:
        return bool(dns.dnssec.make_ds(origin, key, ds.digest_type, validating=True) == ds)
    except (dns.exception.DNSException, ValueError):
        return False


def _find(
    section: Sequence[dns.rrset.RRset], name: dns.name.Name, kind: Any, covers: Any = dns.rdatatype.NONE
) -> dns.rrset.RRset | None:
    return next((r for r in section if r.name == name and r.rdtype == kind and r.covers == covers), None)
