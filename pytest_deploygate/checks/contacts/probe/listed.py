"""The contact list as it is: numbers by the numbering plans, addresses by their syntax, domains by DNS.

Numbering plans: the metadata of Google's libphonenumber, in the package `phonenumbers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from pytest_deploygate.checks.contacts.facts import (
    EscalationSeen,
    ListSeen,
    MailSeen,
    NumberSeen,
    PersonSeen,
    StepSeen,
)
from pytest_deploygate.checks.contacts.probe import mail_domains
from pytest_deploygate.checks.dns.section import NameServer
from pytest_deploygate.fields.contacts import Contact, Reachable
from pytest_deploygate.model import CannotTell

_AT_ONCE = 16
_EXTRA = "install `pip install 'pytest-deploygate[people]'`"

#: When the address of a role last acknowledged a code; None if it never did.
Acknowledged = Callable[[str, str], datetime | None]


def read(
    contacts: Sequence[Contact],
    resolvers: Sequence[NameServer],
    timeout: timedelta,
    acknowledged: Acknowledged = lambda _role, _address: None,
) -> ListSeen:
    """Read a contact list, and look up its mail domains at `resolvers` (none: those of this machine).


    Raises CannotTell without the packages that know numbers and addresses, and without any resolver.
    """
    people = [_person(one, contact.role, acknowledged, deputy=one is not contact)
              for contact in contacts for one in _with_deputies(contact)]  # fmt: skip
    domains = list(dict.fromkeys(one.mail.domain for one in people if one.mail and one.mail.domain))
    asked = list(resolvers) or (mail_domains.here() if domains else [])
    with ThreadPoolExecutor(min(_AT_ONCE, max(1, len(domains))), thread_name_prefix="mail") as pool:
        found = list(
            pool.map(lambda name: mail_domains.look_up(name, asked, timeout.total_seconds()), domains)
        )
    return ListSeen(tuple(people), tuple(found), datetime.now(UTC))


def escalation(contacts: Sequence[Contact]) -> EscalationSeen:
    """Read the steps of the escalation, and the time. A list without steps is a value, too."""
    steps = [
        StepSeen(one.role, one.escalation, tuple(one.hours), one.zone or "UTC")
        for one in contacts
        if one.escalation is not None
    ]
    return EscalationSeen(tuple(sorted(steps, key=lambda step: step.place)), datetime.now(UTC))


def _with_deputies(contact: Contact) -> Iterator[Reachable]:
    yield contact
    yield from contact.deputies


def _person(one: Reachable, role: str, acknowledged: Acknowledged, *, deputy: bool) -> PersonSeen:
    return PersonSeen(
        role,
        one.name,
        deputy,
        number(one.phone) if one.phone else None,
        address(one.mail) if one.mail else None,
        acknowledged(role, one.mail) if one.mail else None,
    )


def number(text: str) -> NumberSeen:
    """Read a telephone number. Raises CannotTell without the package `phonenumbers`."""
    plans = _package("phonenumbers")
    try:
        found = plans.parse(text, None)
    except plans.NumberParseException as error:
        wrong_type = plans.NumberParseException
        if error.error_type == wrong_type.INVALID_COUNTRY_CODE:
            said = "it does not begin with + and the code of a country"
        else:
            said = str(error).partition(") ")[2] or str(error)
        return NumberSeen(text, problem=said.rstrip("."))
    reasons = {
        plans.ValidationResult.TOO_SHORT: "it has too few digits",
        plans.ValidationResult.TOO_LONG: "it has too many digits",
        plans.ValidationResult.INVALID_LENGTH: "no number of that country has so many digits",
        plans.ValidationResult.INVALID_COUNTRY_CODE: "there is no such code of a country",
        plans.ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "its area code is missing",
    }
    if problem := reasons.get(plans.is_possible_number_with_reason(found), ""):
        return NumberSeen(text, problem=problem)
    if found.extension:
        return NumberSeen(text, problem="it has an extension, which is no part of E.164")
    e164 = plans.format_number(found, plans.PhoneNumberFormat.E164)
    return NumberSeen(text, e164, valid=plans.is_valid_number(found))


def address(text: str) -> MailSeen:
    """Read a mail address. Raises CannotTell without the package `email-validator`."""
    package = _package("email_validator")
    try:
        # DNS decides whether a domain takes mail: a name such as `corp.internal` may do so here.
        found = package.validate_email(
            text, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except package.EmailNotValidError as error:
        return MailSeen(text, problem=str(error).rstrip("."))
    return MailSeen(text, found.ascii_domain.lower())


def _package(name: str) -> Any:
    import importlib  # noqa: PLC0415 (an extra)

    try:
        return importlib.import_module(name)
    except ImportError:
        raise CannotTell(f"contacts cannot be checked without the package {name}: {_EXTRA}") from None
