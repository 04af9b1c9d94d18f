"""Faults of briefings, documents and improvements: a role that did not come, a dead link, an old document, no ticket."""

from __future__ import annotations

import os

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import desk
from pytest_deploygate.lab.state import Lab


def _fault(name: str, what: str, item: str, breaks: Change, says: str, verdict: str = "fail") -> Fault:
    return Fault(
        name,
        what,
        {item: verdict},
        breaks,
        desk.as_started,
        says=says,
        needs=(desk.NAME,),
        inventory="lab-people",
    )


def _page(lab: Lab, name: str) -> str:
    return str(desk.served(lab) / f"{name}.html")


def _unanswered(lab: Lab) -> None:
    desk.changed(
        lab,
        "improvements",
        lambda entries: [one | ({"ticket": ""} if one is entries[0] else {}) for one in entries],
    )


TEAM = _fault(
    "briefing-role-missing",
    "the security lead did not come to the team's briefing",
    "day.briefing",
    lambda lab: desk.without(lab, "day.briefing", "security-lead"),
    "security-lead was not present",
)
SUPPORT = _fault(
    "support-not-briefed",
    "customer success did not come to the support's briefing",
    "stab.support-brief",
    lambda lab: desk.without(lab, "stab.support-brief", "customer-success"),
    "customer-success was not present",
)
SIDE = _fault(
    "handover-one-side",
    "nobody of operations came to the briefing of operations",
    "hand.briefing",
    lambda lab: desk.without(lab, "hand.briefing", "operations-manager"),
    "operations-manager was not present",
)
PLANNED = _fault(
    "knowledge-transfer-planned",
    "the transfer of knowledge is planned for tomorrow",
    "hand.knowledge",
    lambda lab: desk.changed(
        lab,
        "briefings",
        lambda entries: [
            one | ({"at": desk.at(1)} if one["item"] == "hand.knowledge" else {}) for one in entries
        ],
    ),
    "has not been held yet",
)
DEAD = _fault(
    "document-dead-link",
    "a document is no longer where its link leads",
    "hand.documentation",
    lambda lab: os.unlink(_page(lab, "handbook")),  # noqa: PTH108
    "handbook.html is a dead link (HTTP 404)",
)
OLD = _fault(
    "document-old",
    "a document was not brought up to date for this change",
    "stab.documentation",
    lambda lab: os.utime(_page(lab, "manual"), (1_700_000_000, 1_700_000_000)),
    "was last changed on 2023-11-14",
)
LOGIN = _fault(
    "document-login",
    "a login answers in place of the runbook",
    "hand.runbook",
    lambda lab: (desk.served(lab) / "runbook.html").write_text('<form><input type="password"></form>'),
    "answers with a login",
    "inconclusive",
)
RUNBOOK = _fault(
    "runbook-of-the-old-version",
    "the runbook does not name the new version",
    "hand.runbook",
    lambda lab: (desk.served(lab) / "runbook.html").write_text("<h1>runbook</h1><p>Version 1</p>"),
    "does not say 'Version 2'",
)
TICKET = _fault(
    "improvement-without-ticket",
    "an improvement has no ticket",
    "stab.improvements",
    _unanswered,
    "it has no ticket",
)
