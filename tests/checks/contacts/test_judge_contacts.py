"""Judging a contact list: roles, numbers, mail domains, nobody twice, and codes that came back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.contacts import judge as of_contacts
from pytest_deploygate.checks.contacts.facts import DomainSeen, ListSeen, MailSeen, NumberSeen, PersonSeen
from pytest_deploygate.checks.contacts.section import ContactRules
from pytest_deploygate.model import Judgement

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
RULES = ContactRules()
DOMAIN = DomainSeen("example.com", ("mx.example.com",))


def person(role: str, number: int, **changed: object) -> PersonSeen:
    e164 = f"+1212555{100 + number:04}"
    made = PersonSeen(
        role, phone=NumberSeen(e164, e164, valid=True), mail=MailSeen(f"{role}@example.com", "example.com")
    )
    return replace(made, **changed)


def people() -> list[PersonSeen]:
    return [person(role, n) for n, role in enumerate(RULES.wanted)]


def judged(
    some: list[PersonSeen] | None = None, domain: DomainSeen = DOMAIN, rules: ContactRules = RULES
) -> Judgement:
    return of_contacts.judge(ListSeen(tuple(people() if some is None else some), (domain,), NOW), rules)


def test_the_five_contacts_and_the_five_signers_are_seven_roles() -> None:
    found = judged()
    assert found.verdict.value == "pass"
    assert found.reason.startswith("7 roles have a contact, 7 numbers can exist, 1 mail domain takes mail")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: p[:-1], "no contact for executive-sponsor: add each to `contacts`"),
        (lambda _: [], "no contact for deployment-lead, database-admin"),
        (
            lambda p: [*p, person("database-admin", 50)],
            "2 entries have the role database-admin",
        ),
        (
            lambda p: [replace(p[0], phone=NumberSeen("0301", problem="it has too few digits")), *p[1:]],
            "deployment-lead: its number '0301' is not in E.164: it has too few digits",
        ),
        (
            lambda p: [replace(p[0], phone=NumberSeen("+15550100555", "+15550100555")), *p[1:]],
            "deployment-lead: its number +15550100555 cannot exist",
        ),
        (
            lambda p: [replace(p[0], mail=MailSeen("a@", problem="There is nothing after the @")), *p[1:]],
            "its mail address 'a@' is none",
        ),
        (
            lambda p: [p[0], replace(p[1], phone=p[0].phone), *p[2:]],
            "deployment-lead and database-admin are the same person (the number +12125550100)",
        ),
        (
            lambda p: [replace(p[0], name="On-call rota"), replace(p[1], name="ON CALL ROTA"), *p[2:]],
            "are the same person (the name On-call rota)",
        ),
        (
            lambda p: [*p, replace(p[0], deputy=True)],
            "deployment-lead and deputy of deployment-lead are the same person",
        ),
    ],
)
def test_what_is_wrong_is_named(change: object, says: str) -> None:
    found = judged(change(people()))
    assert found.verdict.value == "fail"
    assert says in found.reason


@pytest.mark.parametrize(
    ("domain", "verdict", "says"),
    [
        (DomainSeen("example.com", exists=False), "fail", "does not exist"),
        (DomainSeen("example.com", null=True), "fail", "null MX, RFC 7505"),
        (DomainSeen("example.com"), "fail", "no MX record and no address"),
        (
            DomainSeen("example.com", ("mx1.example.com",), ("mx1.example.com",)),
            "fail",
            "none of the mail servers of example.com (mx1.example.com) has an address",
        ),
        (DomainSeen("example.com", implicit=True), "pass", "takes mail"),
        (
            DomainSeen("example.com", problem="192.0.2.53: no answer within 3 s"),
            "inconclusive",
            "whether example.com takes mail is unknown (192.0.2.53: no answer within 3 s)",
        ),
    ],
)
def test_domains(domain: DomainSeen, verdict: str, says: str) -> None:
    found = judged(domain=domain)
    assert found.verdict.value == verdict
    assert says in found.reason


def test_one_of_two_mail_servers_without_an_address_is_a_note() -> None:
    found = judged(domain=DomainSeen("example.com", ("mx1", "mx2"), ("mx2",)))
    assert found.verdict.value == "pass"
    assert any("mx2 have no address" in note for note in found.notes)


def test_a_person_may_have_two_roles_where_the_inventory_says_so() -> None:
    some = people()
    some[1] = replace(some[1], phone=some[0].phone)
    rules = ContactRules(may_share=[["deployment-lead", "database-admin"]])
    assert judged(some, rules=rules).verdict.value == "pass"
    other = ContactRules(may_share=[["deployment-lead", "security-lead"]])
    assert judged(some, rules=other).verdict.value == "fail"


def test_a_number_with_blanks_is_a_note() -> None:
    some = people()
    some[0] = replace(some[0], phone=NumberSeen("+1 212 555 0100", "+12125550100", valid=True))
    found = judged(some)
    assert found.verdict.value == "pass"
    assert "deployment-lead: its number '+1 212 555 0100' is +12125550100 in E.164" in found.notes


def test_a_code_that_came_back_counts_for_more_than_a_lookup() -> None:
    silent = DomainSeen("example.com", problem="no answer")
    some = [replace(one, acknowledged=NOW - timedelta(days=2)) for one in people()]
    found = judged(some, silent)
    assert found.verdict.value == "pass"
    assert any("but a code that was sent there came back" in note for note in found.notes)
    late = [replace(one, acknowledged=NOW - timedelta(days=31)) for one in people()]
    assert judged(late, silent).verdict.value == "inconclusive"
    assert judged(some, DomainSeen("example.com", exists=False)).verdict.value == "fail"


def test_who_never_acknowledged_is_a_note_or_wrong_where_it_is_required() -> None:
    some = [replace(one, acknowledged=NOW - timedelta(days=2)) for one in people()]
    some[2] = replace(some[2], acknowledged=None)
    some[3] = replace(some[3], acknowledged=NOW - timedelta(days=20))
    found = judged(some)
    assert found.verdict.value == "pass"
    assert (
        "never acknowledged a code: security-lead; `deploygate notify test` sends each a code" in found.notes
    )
    found = judged(some, rules=ContactRules(acknowledged_within=timedelta(days=7)))
    assert found.verdict.value == "fail"
    assert "never acknowledged a code: security-lead" in found.reason
    assert "operations-manager last acknowledged one 20 d ago" in found.reason
