"""DNSSEC of a zone on one server: keys, signatures over SOA and DNSKEY, and when they end (RFC 4034, 4035)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from pytest_deploygate.inventory.dns import NameServer


@dataclass(frozen=True, slots=True)
class Signatures:
    """`state` is unsigned, valid, expired, broken or unclear; `detail` says what was wrong. `until` ends the first one."""

    state: str
    detail: str = ""
    until: datetime | None = None


Send = Callable[..., tuple[dns.message.Message | None, str, int]]
Question = Callable[..., dns.message.Message]


def read(server: NameServer, zone: str, timeout_s: float, send: Send, question: Question) -> Signatures:
    """Validate a server's SOA and DNSKEY with the zone's own keys."""
    origin = dns.name.from_text(zone)
    answers = []
    for text in ("DNSKEY", "SOA"):
        answer, problem, _ = send(
            server, question(zone, text, recurse=False, dnssec=True), timeout_s, tcp=True
        )
        if answer is None:
            return Signatures("unclear", problem)
        answers.append(answer)
    keys = _find(answers[0], origin, dns.rdatatype.DNSKEY)
    if keys is None:
        return Signatures("unsigned")
    ends: list[datetime] = []
    for answer, kind in zip(answers, (dns.rdatatype.DNSKEY, dns.rdatatype.SOA), strict=True):
        rrset = _find(answer, origin, kind)
        signatures = _find(answer, origin, dns.rdatatype.RRSIG, kind)
        if rrset is None or signatures is None:
            return Signatures(
                "broken", f"{dns.rdatatype.to_text(kind)} has no signature, although the zone has keys"
            )
        ends += [datetime.fromtimestamp(s.expiration, UTC) for s in signatures]
        try:
            dns.dnssec.validate(rrset, signatures, {origin: keys})
        except dns.exception.DNSException as error:
            past = all(end < datetime.now(UTC) for end in ends)
            return Signatures(
                "expired" if past else "broken", f"{dns.rdatatype.to_text(kind)}: {error}", min(ends)
            )
    return Signatures("valid", until=min(ends))


def _find(
    answer: dns.message.Message, name: dns.name.Name, kind: Any, covers: Any = dns.rdatatype.NONE
) -> dns.rrset.RRset | None:
    return next(
        (r for r in answer.answer if r.name == name and r.rdtype == kind and r.covers == covers), None
    )
