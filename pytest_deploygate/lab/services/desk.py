"""The people around a deployment: their contact list, who is on call, documents, briefings and tickets.

Lists are files in the lab's folder; documents, the calendar and the tracker's answer come from a small web server. Mail
domains are names in the lab's zone. `as_started` writes everything as it was.
"""

from __future__ import annotations

import json
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.contacts.section import CONTACTS, SIGNERS
from pytest_deploygate.lab import client, sql
from pytest_deploygate.lab.desk import REDIRECTS
from pytest_deploygate.lab.services import Service, dns
from pytest_deploygate.lab.state import HOST, Lab
from pytest_deploygate.lab.supervisor import Program

NAME, PROFILE = "desk", "people"
DOMAIN = f"people.{dns.ZONE}"
ROLES = tuple(dict.fromkeys((*CONTACTS, *SIGNERS)))
#: Documents by name, with the item that each belongs to; briefings by item; tickets by key.
DOCUMENTS = {"manual": "stab.documentation", "handbook": "hand.documentation", "runbook": "hand.runbook"}
BRIEFINGS = ("day.briefing", "stab.support-brief", "hand.briefing", "hand.knowledge")
TICKETS = ("OPS-17", "OPS-18")
#: The hours of two shifts, in the order of escalation: together they are all hours of a week.
_DAY, _NIGHT = "06:00-18:00", "18:00-06:00"


def where(lab: Lab) -> Path:
    """Return the folder of the lists."""
    return lab.folder / NAME


def served(lab: Lab) -> Path:
    """Return the folder that the web server serves."""
    return where(lab) / "served"


def lists(lab: Lab) -> dict[str, Path]:
    """Return the files of the lists, by name."""
    names = tuple(_MADE)
    return {name: where(lab) / f"{name}.yml" for name in names}


def values(lab: Lab) -> dict[str, str]:
    """Return what the inventory refers to."""
    return {f"desk.{name}": str(path) for name, path in lists(lab).items()}


def start(lab: Lab) -> None:
    """Write the lists, add the mail domain, and start the web server. Raises LabError."""
    served(lab).mkdir(parents=True, exist_ok=True)
    as_started(lab)
    arguments = [sys.executable, "-m", "pytest_deploygate.lab.desk", str(served(lab)), str(lab.ports[NAME])]
    client.start(lab, NAME, Program(arguments, death_signal=signal.SIGTERM))
    sql.wait_until("the desk", lambda: _answers(lab), 15.0)


def _answers(lab: Lab) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{lab.ports[NAME]}/{REDIRECTS}", timeout=1):
            return True
    except OSError:
        return False


def as_started(lab: Lab) -> None:
    """Write everything as it was when the lab started."""
    takes_mail(lab)
    for name, make in _MADE.items():
        write(lab, name, make(lab))
    for name in DOCUMENTS:
        (served(lab) / f"{name}.html").write_text(f"<h1>{name}</h1><p>Version 2 of the platform.</p>")
    for key in TICKETS:
        (served(lab) / key).write_text(f"<h1>{key}</h1><p>open</p>")
    (served(lab) / REDIRECTS).write_text("{}")
    on_call(lab)


def takes_mail(lab: Lab) -> None:
    """Let the domain of the contacts take mail."""
    dns.update(lab, (f"mx.{DOMAIN}", 0, "A", HOST), (DOMAIN, 0, "MX", f"10 mx.{DOMAIN}."))


def on_call(lab: Lab, *, night: str = f"{ROLES[1]}@{DOMAIN}", nights: int = 400) -> None:
    """Write the calendar: two shifts a day, begun yesterday; `nights` is how many there are of the second."""
    first = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0) - timedelta(days=2)
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//deploygate//lab//EN"]
    for name, who, begin, count in (
        ("day", f"{ROLES[0]}@{DOMAIN}", first, 400),
        ("night", night, first + timedelta(hours=12), nights),
    ):
        lines += [
            "BEGIN:VEVENT",
            f"UID:{name}@{DOMAIN}",
            f"DTSTAMP:{first:%Y%m%dT%H%M%SZ}",
            f"DTSTART:{begin:%Y%m%dT%H%M%SZ}",
            f"DTEND:{begin + timedelta(hours=12):%Y%m%dT%H%M%SZ}",
            f"RRULE:FREQ=DAILY;COUNT={count}",
            f"SUMMARY:On call\\, {name}",
            f"ATTENDEE:mailto:{who}",
            "END:VEVENT",
        ]
    (served(lab) / "on-call.ics").write_text("\r\n".join([*lines, "END:VCALENDAR", ""]))


def write(lab: Lab, name: str, content: object) -> None:
    """Write a list. JSON is YAML."""
    lists(lab)[name].write_text(json.dumps(content, indent=1))


def changed(lab: Lab, name: str, change: Callable[[Any], Any]) -> None:
    """Change a list: `change` gets its content, other faults' changes included, and returns another one."""
    write(lab, name, change(json.loads(lists(lab)[name].read_text())))


def contacts(_lab: Lab) -> list[dict[str, Any]]:
    """Return the contact list: numbers are of those reserved for fiction."""
    found: list[dict[str, Any]] = [
        {"role": role, "phone": f"+1212555{100 + number:04}", "mail": f"{role}@{DOMAIN}"}
        for number, role in enumerate(ROLES)
    ]
    for place, (one, hours) in enumerate(zip(found, (_DAY, _NIGHT), strict=False), 1):
        one |= {"escalation": place, "hours": [hours], "zone": "UTC"}
    return found


def without(lab: Lab, item: str, role: str) -> None:
    """Let a role be absent from an item's briefing."""

    def absent(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for one in entries:
            if one["item"] == item:
                one["present"].remove(role)
        return entries

    changed(lab, "briefings", absent)


def at(days: float) -> str:
    """Return a time some days from now, as the lists have it."""
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")


def documents(lab: Lab) -> list[dict[str, Any]]:
    """Return the documents that are handed over."""
    return [
        {
            "item": item,
            "name": name,
            "url": f"http://{HOST}:{lab.ports[NAME]}/{name}.html",
            "owner": "operations-manager",
            "says": "Version 2",
        }
        for name, item in DOCUMENTS.items()
    ]


def briefings(_lab: Lab) -> list[dict[str, Any]]:
    """Return the briefings, with everybody present."""
    return [
        {"item": item, "at": at(-0.1), "led_by": "deployment-lead", "present": list(ROLES)}
        for item in BRIEFINGS
    ]


def improvements(_lab: Lab) -> list[dict[str, Any]]:
    """Return the improvements, each with its ticket."""
    return [{"what": f"improvement {key}", "owner": "technical-lead", "ticket": key} for key in TICKETS]


def tickets(_lab: Lab) -> dict[str, Any]:
    """Return the tracker's counts: a quiet night, as a week before."""
    return {"at": at(0), "since": {"blocker": 0, "major": 2}, "before": {"blocker": 0, "major": 1}}


_MADE: Mapping[str, Callable[[Lab], Any]] = {
    "contacts": contacts,
    "documents": documents,
    "briefings": briefings,
    "improvements": improvements,
    "tickets": tickets,
}


SERVICE = Service(
    name=NAME,
    servers={NAME: "documents, a calendar and tickets, for handovers"},
    programs=(),
    missing="the people around a deployment are not covered",
    start=start,
    where=where,
    values=values,
    after=("dns",),
    reset=as_started,
    modules=("pytest_deploygate.lab.desk",),
    alone=True,
    profiles=(PROFILE,),
)
