"""Reading a contact list: numbers by the numbering plans, addresses by their syntax, domains at real DNS servers."""

from __future__ import annotations

from datetime import timedelta

import dns.message
import dns.rcode
import dns_peer
import pytest

from pytest_deploygate.checks.contacts import probe
from pytest_deploygate.checks.contacts.facts import DomainSeen
from pytest_deploygate.checks.contacts.probe import listed, mail_domains
from pytest_deploygate.checks.dns.section import NameServer
from pytest_deploygate.fields.contacts import Contact


@pytest.mark.parametrize(
    ("text", "e164", "valid", "problem"),
    [
        ("+12125550100", "+12125550100", True, ""),
        ("+1 (212) 555-0100", "+12125550100", True, ""),
        ("+442079460958", "+442079460958", True, ""),
        ("+447700900123", "+447700900123", False, ""),
        ("+1-555-0100", "", False, "its area code is missing"),
        ("030 1234567", "", False, "it does not begin with + and the code of a country"),
        ("+9991234567", "", False, "it does not begin with + and the code of a country"),
        ("+1212555010055", "", False, "it has too many digits"),
        ("call me", "", False, "The string supplied did not seem to be a phone number"),
        ("+12125550100 ext. 7", "", False, "it has an extension, which is no part of E.164"),
    ],
)
def test_numbers(text: str, e164: str, valid: bool, problem: str) -> None:
    found = listed.number(text)
    assert (found.e164, found.valid, found.problem) == (e164, valid, problem)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("deployment-lead@example.com", "example.com"),
        ("lead@Example.COM", "example.com"),
        ("lead@bücher.example", "xn--bcher-kva.example"),
        ("lead@corp.internal", "corp.internal"),
        ("lead", ""),
        ("lead@", ""),
        ("two@at@example.com", ""),
        ("a b@example.com", ""),
    ],
)
def test_addresses(text: str, domain: str) -> None:
    found = listed.address(text)
    assert found.domain == domain
    assert bool(found.problem) == (not domain)


RECORDS = dns_peer.records(
    "both 60 MX 20 second.example.test.",
    "both 60 MX 10 first.example.test.",
    "first 60 A 192.0.2.10",
    "second 60 AAAA 2001:db8::25",
    "null 60 MX 0 .",
    "implicit 60 A 192.0.2.11",
    "nothing 60 TXT hello",
    "lost 60 MX 10 gone.example.test.",
)


def look_up(name: str, answers: dns_peer.Answers = RECORDS) -> DomainSeen:
    with dns_peer.serving(answers) as port:
        server = NameServer(address="127.0.0.1", port=port)
        return mail_domains.look_up(f"{name}.example.test", [server], 0.3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("both", {"exchanges": ("first.example.test", "second.example.test")}),
        ("null", {"null": True}),
        ("implicit", {"implicit": True}),
        ("nothing", {}),
        ("lost", {"exchanges": ("gone.example.test",), "silent": ("gone.example.test",)}),
        ("none-such", {"exists": False}),
    ],
)
def test_domains(name: str, expected: dict[str, object]) -> None:
    assert look_up(name) == DomainSeen(f"{name}.example.test", **expected)


def test_a_resolver_that_fails_is_a_problem_and_not_an_answer() -> None:
    def failing(asked: dns.message.Message, _tcp: bool) -> dns.message.Message:
        made = dns.message.make_response(asked)
        made.set_rcode(dns.rcode.SERVFAIL)
        return made

    found = look_up("both", failing)
    assert "answers SERVFAIL" in found.problem
    assert found.exists


def test_the_next_resolver_is_asked() -> None:
    with dns_peer.serving(lambda _asked, _tcp: None) as silent, dns_peer.serving(RECORDS) as port:
        servers = [NameServer(address="127.0.0.1", port=one) for one in (silent, port)]
        found = mail_domains.look_up("null.example.test", servers, 0.1)
    assert found.null


def test_a_list_is_read_with_its_deputies() -> None:
    contact = Contact(
        role="deployment-lead",
        phone="+12125550100",
        mail="lead@implicit.example.test",
        deputies=[{"phone": "+12125550101", "mail": "deputy@implicit.example.test"}],
    )
    with dns_peer.serving(RECORDS) as port:
        resolvers = [NameServer(address="127.0.0.1", port=port)]
        found = probe.read([contact], resolvers, timedelta(seconds=1))
    assert [one.label for one in found.people] == ["deployment-lead", "deputy of deployment-lead"]
    assert [domain.name for domain in found.domains] == ["implicit.example.test"]
