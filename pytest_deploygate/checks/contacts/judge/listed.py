"""The contact list is good when every role has a contact of its own, and each number and address can be reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING

from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.checklist.same_person import look_alike, same_person
from pytest_deploygate.checks.contacts.facts import DomainSeen, ListSeen, MailSeen, NumberSeen, PersonSeen
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.contacts.section import ContactRules

_SEND = "`deploygate notify test`"


def judge(seen: ListSeen, rules: ContactRules) -> Judgement:
    """Judge a contact list: roles, numbers, addresses, domains, nobody twice, and who acknowledged."""
    found = Collector(most=6)
    _roles(seen, rules, found)
    for person in seen.people:
        if person.phone is not None:
            _number(person.phone, person.label, found)
        if person.mail is not None and person.mail.problem:
            said = f"its mail address {person.mail.text!r} is none: {person.mail.problem}"
            found.wrong(said, where=person.label)
    _domains(seen, rules, found)
    _twice(seen, rules, found)
    _acknowledged(seen, rules, found)
    return found.judgement(lambda: _good(seen, rules))


def _roles(seen: ListSeen, rules: ContactRules, found: Collector) -> None:
    have = {slug(person.role) for person in seen.people if not person.deputy}
    missing = [role for role in rules.wanted if slug(role) not in have]
    limit, count = len(rules.wanted), len(rules.wanted) - len(missing)
    found.read(Reading("roles with a contact", count, limit=f"{limit}", ok=not missing))
    if missing:
        found.wrong(f"no contact for {', '.join(missing)}: add each to `contacts` with `phone` and `mail`")
    names = [slug(person.role) for person in seen.people if not person.deputy]
    for role in dict.fromkeys(name for name in names if names.count(name) > 1):
        found.wrong(
            f"{names.count(role)} entries have the role {role}, so nobody knows whom to call first: "
            "make the others its `deputies`"
        )


def _number(phone: NumberSeen, where: str, found: Collector) -> None:
    if phone.problem:
        found.wrong(f"its number {phone.text!r} is not in E.164: {phone.problem}", where=where)
    elif not phone.valid:
        found.wrong(
            f"its number {phone.text} cannot exist: the country's numbering plan has no such numbers",
            where=where,
        )
    elif phone.text != phone.e164:
        found.note(f"its number {phone.text!r} is {phone.e164} in E.164", where=where)


def _domains(seen: ListSeen, rules: ContactRules, found: Collector) -> None:
    good = unknown = 0
    for domain in seen.domains:
        people = [one for one in seen.people if one.mail and one.mail.domain == domain.name]
        doubts = [one for one in people if not _fresh(one, seen, rules.acknowledged_for)]
        wrong = _takes_no_mail(domain)
        good += not wrong and not (domain.problem and doubts)
        unknown += bool(domain.problem and doubts)
        for person in people:
            if wrong:
                found.wrong(wrong, where=person.label)
            elif domain.problem and person in doubts:
                found.unknown(
                    f"whether {domain.name} takes mail is unknown ({domain.problem}): run again, or name another "
                    "resolver with `contact_rules: {resolvers: […]}`",
                    where=person.label,
                )
            elif domain.problem:
                said = f"{domain.name} could not be looked up ({domain.problem}), but a code that was sent there came back"
                found.note(said, where=person.label)
        if domain.silent and not wrong:
            found.note(f"{domain.name}: the mail servers {', '.join(domain.silent)} have no address")
    if seen.domains:
        number = len(seen.domains)
        ok = True if good == number else False if good + unknown < number else None
        found.read(Reading("mail domains that take mail", good, limit=f"{number}", ok=ok))


def _takes_no_mail(domain: DomainSeen) -> str:
    if domain.problem:
        return ""
    if not domain.exists:
        return f"the mail domain {domain.name} does not exist: correct the address"
    if domain.null:
        return f"the mail domain {domain.name} takes no mail (null MX, RFC 7505): give another address"
    if domain.exchanges and set(domain.silent) == set(domain.exchanges):
        hosts = ", ".join(domain.exchanges)
        return f"none of the mail servers of {domain.name} ({hosts}) has an address: mend its MX records"
    if not domain.exchanges and not domain.implicit:
        return f"the mail domain {domain.name} has no MX record and no address: correct the address, or add an MX record"
    return ""


def _twice(seen: ListSeen, rules: ContactRules, found: Collector) -> None:
    wanted = {slug(role) for role in rules.wanted}
    shared = [{slug(role) for role in group} for group in rules.may_share]
    pairs = 0
    for one, other in combinations(seen.people, 2):
        roles = {slug(one.role), slug(other.role)}
        if len(roles) == 1 and not (one.deputy or other.deputy):
            continue  # said already: two entries of one role
        if len(roles) == 2 and not (one.deputy or other.deputy or roles <= wanted):
            continue
        if len(roles) == 2 and (one.deputy or other.deputy):
            continue  # a deputy may be the contact of another role
        if any(roles <= group for group in shared) and len(roles) == 2:
            continue
        pairs += 1
        if how := _same(one, other):
            found.wrong(
                f"{one.label} and {other.label} are the same person ({how}): name another, or allow it with "
                "`contact_rules: {may_share: […]}`"
                if len(roles) == 2
                else f"{one.label} and {other.label} are the same person ({how}): name another"
            )
    found.read(Reading("pairs of contacts that were compared", pairs))


def _same(one: PersonSeen, other: PersonSeen) -> str:
    if one.name and other.name:
        if same_person(one.name, other.name):
            return f"the name {one.name}"
        if how := look_alike(one.name, other.name):
            return f"{one.name} looks like {other.name}: {how}"
    if one.phone and other.phone and _digits(one.phone) == _digits(other.phone):
        return f"the number {one.phone.text}"
    if one.mail and other.mail and _box(one.mail) == _box(other.mail):
        return f"the address {one.mail.text}"
    return ""


def _digits(phone: NumberSeen) -> str:
    return phone.e164 or phone.text


def _box(mail: MailSeen) -> str:
    return mail.text.casefold()


def _acknowledged(seen: ListSeen, rules: ContactRules, found: Collector) -> None:
    asked = [one for one in seen.people if one.mail and not one.mail.problem]
    within = rules.acknowledged_within
    late = [one for one in asked if not _fresh(one, seen, within or rules.acknowledged_for)]
    limit = f"{len(asked)}" if within else ""
    ok = not late if within else None
    found.read(Reading("contacts that acknowledged a code", len(asked) - len(late), limit=limit, ok=ok))
    if not late:
        return
    said = "; ".join(_when(late, seen))
    if within:
        found.wrong(f"{said}: send codes with {_SEND}, and have each answered with `deploygate ack CODE`")
    else:
        found.note(f"{said}; {_SEND} sends each a code")


def _when(late: Sequence[PersonSeen], seen: ListSeen) -> Iterator[str]:
    if never := [one.label for one in late if one.acknowledged is None]:
        yield f"never acknowledged a code: {', '.join(never)}"
    for one in late:
        if one.acknowledged is not None:
            yield f"{one.label} last acknowledged one {words_for(seen.at - one.acknowledged)} ago"


def _fresh(person: PersonSeen, seen: ListSeen, within: timedelta) -> bool:
    return person.acknowledged is not None and seen.at - person.acknowledged <= within


def _good(seen: ListSeen, rules: ContactRules) -> str:
    numbers = sum(one.phone is not None for one in seen.people)
    takes = f"{len(seen.domains)} mail {'domain takes' if len(seen.domains) == 1 else 'domains take'} mail"
    return f"{len(rules.wanted)} roles have a contact, {numbers} numbers can exist, {takes}, and nobody is named twice"
