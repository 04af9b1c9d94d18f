"""Faults of notices: a placeholder that is left, a refused recipient, one that was never sent, and one that is out of date."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.notices_server import MAIL
from pytest_deploygate.lab.services import notices
from pytest_deploygate.lab.services.notices import INVENTORY
from pytest_deploygate.lab.state import Lab

_ALL = {"day.stakeholders": "fail", "day.customers": "fail"}


def _edited(notice: str, old: str, new: str) -> Change:
    """Return a change of the English template of a notice."""

    def breaks(lab: Lab) -> None:
        file = notices.templates_of(lab) / "en" / f"{notice}.txt"
        file.write_text(file.read_text().replace(old, new))

    return breaks


def _never(lab: Lab) -> None:
    notices.forget(lab)
    notices.send(lab, "status")


def _no_status(lab: Lab) -> None:
    notices.forget(lab)
    notices.send(lab, "pre-deployment")


def _refused(lab: Lab) -> None:
    notices.forget(lab)
    notices.refuse(lab, "plant2@example.com", "550 5.1.1 no such user here")
    notices.send(lab, "pre-deployment", refused=True)
    notices.send(lab, "status", refused=False)


PLACEHOLDER = Fault(
    "notice-placeholder",
    "the template of the notice before the deployment still has a placeholder",
    _ALL,
    _edited("pre-deployment", "{{ start }}", "[START]"),
    notices.sent,
    says="pre-deployment.txt:8: the placeholder [START] is left in the template",
    needs=(MAIL,),
    inventory=INVENTORY,
)
REFUSED = Fault(
    "notice-refused",
    "the mail server refuses a customer's address",
    {"day.customers": "fail"},
    _refused,
    notices.sent,
    says="550 5.1.1 no such user here (at RCPT TO)",
    needs=(MAIL,),
    inventory=INVENTORY,
)
NEVER = Fault(
    "notice-never-sent",
    "the notice before the deployment was never sent",
    _ALL,
    _never,
    notices.sent,
    says="was never sent for this change: `deploygate notify send pre-deployment --to customers",
    needs=(MAIL,),
    inventory=INVENTORY,
)
STATUS = Fault(
    "notice-no-status",
    "nobody was told how it stands after the deployment",
    {"stab.status": "fail"},
    _no_status,
    notices.sent,
    says="was never sent for this change: `deploygate notify send status",
    needs=(MAIL,),
    inventory=INVENTORY,
)
OUTDATED = Fault(
    "notice-changed-since",
    "the template of the status was changed after it had been sent",
    {"stab.status": "fail"},
    _edited("status", "This is how it stands today.", "This is how it stands this week."),
    notices.sent,
    says="before its template or its values were changed",
    needs=(MAIL,),
    inventory=INVENTORY,
)
