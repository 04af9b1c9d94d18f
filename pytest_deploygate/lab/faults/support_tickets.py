"""Faults of support tickets: one that blocks, and many more than in the same hours before."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import desk


def _counted(**since: int) -> Change:
    return lambda lab: desk.changed(
        lab, "tickets", lambda counts: counts | {"since": {**counts["since"], **since}}
    )


def _fault(name: str, what: str, breaks: Change, says: str) -> Fault:
    return Fault(
        name,
        what,
        {"after.tickets": "fail"},
        breaks,
        desk.as_started,
        says=says,
        needs=(desk.NAME,),
        inventory="lab-people",
    )


BLOCKER = _fault(
    "ticket-blocker",
    "a ticket that blocks came in the night",
    _counted(blocker=1),
    "1 ticket is blocker since go-live",
)
MANY = _fault(
    "tickets-many",
    "nine major tickets came in the night, and one in the same hours before",
    _counted(major=9),
    "9 tickets are major since go-live, at most 4 may be",
)
