"""Where a domain takes mail, as a sending server finds out (RFC 5321 section 5.1, RFC 7505)."""

from __future__ import annotations

from collections.abc import Sequence

import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver

from pytest_deploygate.checks.contacts.facts import DomainSeen
from pytest_deploygate.checks.dns.probe import names
from pytest_deploygate.checks.dns.section import NameServer
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: More exchanges than this are not looked up: senders do not try so many either.
_MOST = 10


def here() -> list[NameServer]:
    """Return this machine's own resolvers. Raises CannotTell."""
    try:
        found = dns.resolver.Resolver().nameservers
    except (dns.resolver.NoResolverConfiguration, OSError) as error:
        raise CannotTell(
            f"this machine has no resolvers ({error}); name some with `contact_rules: {{resolvers: [192.0.2.53]}}`"
        ) from None
    return [NameServer.model_validate(str(address)) for address in found]


def look_up(domain: str, resolvers: Sequence[NameServer], timeout_s: float) -> DomainSeen:
    """Look up where a domain takes mail. What could not be looked up is a value; nothing is raised."""
    found = _ask(domain, "MX", resolvers, timeout_s)
    if found.problem:
        return DomainSeen(domain, problem=found.problem)
    if not found.exists:
        return DomainSeen(domain, exists=False)
    if not found.values:
        return _implicit(domain, resolvers, timeout_s)
    ranked = sorted((int(rank), host) for rank, host in (value.split() for value in found.values))
    hosts = [host.rstrip(".").lower() for _, host in ranked]
    if not any(hosts):
        return DomainSeen(domain, null=True)
    exchanges = tuple(dict.fromkeys(host for host in hosts if host))[:_MOST]
    silent, problems = [], []
    for host in exchanges:
        addresses, problem = _addresses(host, resolvers, timeout_s)
        if problem:
            problems.append(f"{host}: {problem}")
        elif not addresses:
            silent.append(host)
    unknown = len(silent) + len(problems) == len(exchanges) and problems
    return DomainSeen(domain, exchanges, tuple(silent), problem=problems[0] if unknown else "")


def _implicit(domain: str, resolvers: Sequence[NameServer], timeout_s: float) -> DomainSeen:
    """A domain without MX records takes mail at its own address, if it has one."""
    addresses, problem = _addresses(domain, resolvers, timeout_s)
    return DomainSeen(domain, implicit=bool(addresses), problem="" if addresses else problem)


def _addresses(host: str, resolvers: Sequence[NameServer], timeout_s: float) -> tuple[list[str], str]:
    found: list[str] = []
    problem = ""
    for kind in ("A", "AAAA"):
        said = _ask(host, kind, resolvers, timeout_s)
        found += said.values
        problem = problem or said.problem
    return found, "" if found else problem


@dataclass(frozen=True)
class _Said:
    values: tuple[str, ...] = ()
    exists: bool = True
    problem: str = ""


def _ask(name: str, kind: str, resolvers: Sequence[NameServer], timeout_s: float) -> _Said:
    """Ask one resolver after another until one answers, as a resolver library does."""
    problems = []
    for server in resolvers:
        answer, problem, _ = names.send(server, names.question(name, kind, recurse=True), timeout_s)
        if answer is None:
            problems.append(f"{server.label}: {problem}")
            continue
        if answer.rcode() == dns.rcode.NXDOMAIN:
            return _Said(exists=False)
        if answer.rcode() == dns.rcode.NOERROR:
            return _Said(_values(answer, kind))
        problems.append(f"{server.label} answers {dns.rcode.to_text(answer.rcode())}")
    return _Said(problem="; ".join(problems) or "no resolver to ask")


def _values(answer: dns.message.Message, kind: str) -> tuple[str, ...]:
    return tuple(
        rdata.to_text()
        for rrset in answer.answer
        if dns.rdatatype.to_text(rrset.rdtype) == kind
        for rdata in rrset
    )
