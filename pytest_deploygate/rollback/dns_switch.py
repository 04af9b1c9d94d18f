"""Switching a record set back by dynamic update (RFC 2136) with TSIG (RFC 8945), then querying every server.

The update has a prerequisite on the current value: a change made by somebody else in between is not overwritten, and
a second switch after a crash does no harm.
"""

from __future__ import annotations

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.tsig
import dns.tsigkeyring
import dns.update

from pytest_deploygate.checks.way_back.section.rollback import DnsSwitch
from pytest_deploygate.rollback.verification import Verified

_TIMEOUT_S = 5.0
#: How a query may fail. EOFError: the server closed the connection instead of answering.
_FAILURES = (dns.exception.DNSException, OSError, EOFError, ValueError)


def plan(switch: DnsSwitch) -> Verified:
    """Describe the switch and the current value; an update that changes nothing tests the key.

    Good only where the record is on the new side or the old one, and the primary takes updates from this key.
    """
    place = f"{switch.primary}:{switch.port}"
    would = (
        f"replace {switch.name} {switch.type} {', '.join(switch.now)} with {', '.join(switch.to)} (TTL {switch.ttl})"
        f" at {place}, if unchanged until then"
    )
    seen = _answer(switch, switch.primary, int(switch.port))
    if seen not in (", ".join(sorted(switch.now)), ", ".join(sorted(switch.to))):
        return Verified(
            False, f"would {would}; but its current value is {seen}, neither the new side nor the old"
        )
    try:
        empty = dns.update.UpdateMessage(switch.zone, keyring=_keyring(switch), keyalgorithm=switch.algorithm)
        answer = dns.query.tcp(empty, switch.primary, timeout=_TIMEOUT_S, port=int(switch.port))
    except _FAILURES as error:
        return Verified(False, f"would {would}; but {place} does not accept updates: {_words(error)}")
    if answer.rcode() != dns.rcode.NOERROR:
        code = dns.rcode.to_text(answer.rcode())
        return Verified(False, f"would {would}; but {place} answers {code} for the key {switch.key_name}")
    if not answer.had_tsig:
        return Verified(
            False,
            f"would {would}; but {place} does not sign its answer: it did not check the key {switch.key_name}",
        )
    return Verified(True, f"{would}; now {seen}; {place} accepts the key {switch.key_name}")


def switch(wanted: DnsSwitch) -> str:
    """Replace the record set. Return what went wrong, empty if the server accepted it or it was already done."""
    update = dns.update.UpdateMessage(wanted.zone, keyring=_keyring(wanted), keyalgorithm=wanted.algorithm)
    update.present(_relative(wanted), wanted.type, *wanted.now)
    update.replace(_relative(wanted), wanted.ttl, wanted.type, *wanted.to)
    try:
        answer = dns.query.tcp(update, wanted.primary, timeout=_TIMEOUT_S, port=int(wanted.port))
    except _FAILURES as error:
        return f"{wanted.primary}:{wanted.port} did not accept the update: {_words(error)}"
    code = answer.rcode()
    if code == dns.rcode.NOERROR:
        return ""
    if code == dns.rcode.NXRRSET and _is(wanted, wanted.primary, int(wanted.port)).good:
        return ""
    if code == dns.rcode.NXRRSET:
        seen = _answer(wanted, wanted.primary, int(wanted.port))
        return f"{wanted.name} is {seen}, neither the new side nor the old: somebody changed it; check it before you switch"
    return f"{wanted.primary}:{wanted.port} answered {dns.rcode.to_text(code)} to the update"


def verify(wanted: DnsSwitch) -> Verified:
    """Query the primary and every other authoritative server once."""
    places = [(wanted.primary, int(wanted.port)), *(_place(text) for text in wanted.check)]
    found = [_is(wanted, host, port) for host, port in places]
    bad = [verified.said for verified in found if not verified.good]
    return Verified(not bad, "; ".join(bad) or f"{len(found)} servers return {', '.join(wanted.to)}")


def _is(wanted: DnsSwitch, host: str, port: int) -> Verified:
    seen = _answer(wanted, host, port)
    good = seen == ", ".join(sorted(wanted.to))
    return Verified(good, f"{host}:{port} returns {seen}")


def _answer(wanted: DnsSwitch, host: str, port: int) -> str:
    query = dns.message.make_query(wanted.name, wanted.type)
    try:
        answer = dns.query.udp(query, host, timeout=_TIMEOUT_S, port=port)
    except _FAILURES as error:
        return f"no answer ({type(error).__name__})"
    kind = dns.rdatatype.from_text(wanted.type)
    values = sorted(
        str(data).rstrip(".") for rrset in answer.answer if rrset.rdtype == kind for data in rrset
    )
    return ", ".join(values) or f"nothing ({dns.rcode.to_text(answer.rcode())})"


def _words(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "it closed the connection without answering"
    return f"{type(error).__name__} {error}".strip()


def _keyring(wanted: DnsSwitch) -> dict[dns.name.Name, dns.tsig.Key]:
    return dns.tsigkeyring.from_text({wanted.key_name: wanted.key.reveal()})


def _relative(wanted: DnsSwitch) -> str:
    return wanted.name.rstrip(".") + "."


def _place(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    return (host, int(port)) if colon and port.isdigit() else (text, 53)
