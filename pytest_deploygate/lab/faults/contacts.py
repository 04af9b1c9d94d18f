"""Faults of the contact list: numbers, mail domains, roles and people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_deploygate.lab import client
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import desk, dns

INVENTORY = "lab-people"
NEEDS = (desk.NAME,)


def listed(change: Callable[[list[dict[str, Any]]], object]) -> Change:
    """Return a change of the contact list; `change` alters its entries."""

    def changing(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        change(entries)
        return entries

    return lambda lab: desk.changed(lab, "contacts", changing)


def _fault(name: str, what: str, breaks: Change, says: str, verdict: str = "fail") -> Fault:
    return Fault(
        name,
        what,
        {"hand.contacts": verdict},
        breaks,
        desk.as_started,
        says=says,
        needs=NEEDS,
        inventory=INVENTORY,
    )


NUMBER = _fault(
    "contact-number-impossible",
    "the number of the security lead has a digit too few",
    listed(lambda entries: entries[2].update(phone="+1212555010")),
    "security-lead: its number '+1212555010' is not in E.164",
)
NO_CODE = _fault(
    "contact-number-of-a-country",
    "a number is written as it is dialled within its country",
    listed(lambda entries: entries[1].update(phone="(212) 555-0101")),
    "does not begin with + and the code of a country",
)
ROLE = _fault(
    "contact-role-missing",
    "nobody is named for customer success",
    listed(lambda entries: entries.remove(next(e for e in entries if e["role"] == "customer-success"))),
    "no contact for customer-success",
)
TWICE = _fault(
    "contact-twice",
    "the technical lead has the number of the deployment lead",
    listed(lambda entries: entries[5].update(phone=entries[0]["phone"])),
    "deployment-lead and technical-lead are the same person",
)
NO_MX = _fault(
    "contact-mail-without-mx",
    "the mail domain has lost its MX record",
    lambda lab: dns.remove(lab, desk.DOMAIN, "MX"),
    "has no MX record and no address",
)
NULL_MX = _fault(
    "contact-mail-null-mx",
    "the mail domain says that it takes no mail",
    lambda lab: dns.update(lab, (desk.DOMAIN, 0, "MX", "0 .")),
    "takes no mail (null MX, RFC 7505)",
)


SILENT = Fault(
    "contact-resolver-silent",
    "the server that is asked for the mail domain does not answer",
    {"hand.contacts": "inconclusive"},
    lambda lab: client.stop(lab, dns.PRIMARY),
    lambda lab: dns.again(lab, dns.PRIMARY),
    says="takes mail is unknown",
    needs=NEEDS,
    inventory=INVENTORY,
)


HOLE = Fault(
    "escalation-hole",
    "the second step of the escalation answers until midnight only",
    {"hand.escalation": "fail"},
    listed(lambda entries: entries[1].update(hours=["18:00-24:00"])),
    desk.as_started,
    says="nobody of the escalation answers from",
    needs=NEEDS,
    inventory=INVENTORY,
)
