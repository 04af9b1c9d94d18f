"""Documents after a rollback, rendered from the results: issues, a remediation plan, a status, a date for the retry.

Pure: the same change gives the same texts. Nothing is invented: where nobody is named, the text says that someone
must be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.incidents import Incident, What
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Finding, about, words_for
from pytest_deploygate.rollback.progress import Mark, Progress

_NOBODY = "nobody yet: name an owner"
_FOLD = 73  # octets per folded line, RFC 5545 section 3.1


@dataclass(frozen=True)
class Task:
    """Something to do, its owner (a role) and when it is due."""

    title: str
    owner: str
    due: datetime


@dataclass(frozen=True)
class After:
    """A change after its rollback. `red` are the items of the incident as they were last measured."""

    change: str
    inventory: str
    incident: Incident
    red: tuple[ItemResult, ...]
    rollback: Progress | None
    lost: str
    owner: str
    due: datetime
    retry: datetime | None = None
    calls: tuple[str, ...] = ()  # whom to call, in this order, with contact details


#: The kind of journal line that records the follow-up of a rollback.
KIND = "after"


def to_json(after: After) -> dict[str, Any]:
    """Return what the journal, and so the report, stores."""
    left = [{"title": task.title, "owner": task.owner, "due": task.due.isoformat()} for task in tasks(after)]
    return {
        "incident": after.incident.id,
        "tasks": left,
        "calls": list(after.calls),
        "lost": after.lost,
        "retry": after.retry.isoformat() if after.retry else "",
    }


def call_order(contacts: Sequence[Mapping[str, Any]], first: Sequence[str]) -> tuple[str, ...]:
    """Return whom to call, in order: the roles in `first` (responsible for what failed), then the contact list.

    A role without a contact is listed as such: nobody should search at night for a number that was never recorded.
    """
    known = {slug(str(contact["role"])): contact for contact in contacts}
    order = dict.fromkeys([*(slug(role) for role in first if role), *known])
    return tuple(
        f"{role}: {_reach(known[role])}" if role in known else f"{role}: no contact known" for role in order
    )


def _reach(contact: Mapping[str, Any]) -> str:
    ways = [str(contact[way]) for way in ("name", "phone", "mail") if contact.get(way)]
    return ", ".join(ways)


def tasks(after: After) -> list[Task]:
    """Return the remaining tasks, each with an owner and a due time."""
    owner = after.owner or _NOBODY
    found = [
        Task(f"{r.item.id}: find the cause of: {r.reason}", r.item.role or owner, after.due)
        for r in after.red
    ]
    failed = [line for line in (after.rollback.lines if after.rollback else ()) if line.mark is Mark.FAILED]
    found += [Task(f"runbook step {line.step}: {line.said}", owner, after.due) for line in failed]
    if after.lost:
        found.append(Task(f"lost writes: {after.lost}", owner, after.due))
    found.append(Task("inform stakeholders and customers of the status (status.md)", owner, after.due))
    if after.retry is None:
        found.append(Task("schedule the next attempt", owner, after.due))
    return [replace(task, title=" ".join(task.title.split())) for task in found]


def render(after: After) -> Mapping[str, str]:
    """Return the texts by file name: `issues.md`, `remediation.md`, `status.md`, and `retry.ics` with a calendar entry."""
    texts = {
        "issues.md": _issues(after),
        "remediation.md": _remediation(after),
        "status.md": _status(after),
    }
    if after.retry is not None:
        texts["retry.ics"] = _appointment(after, after.retry)
    return texts


def _issues(after: After) -> str:
    lines = [
        f"# Issues of change {after.change}",
        "",
        f"Incident {after.incident.id}, opened {_time(after.incident.opened.wall)}.",
        "",
    ]
    for result in after.red:
        lines += [
            f"## {result.item.id}: {result.item.text}",
            "",
            f"- verdict: {result.verdict.value}, {result.item.severity.value}",
        ]
        lines += [f"- {_said(finding)}" for finding in result.findings[:10]] or [f"- {result.reason}"]
        lines.append("")
    if not after.red:
        lines += ["None of the incident's items is red any more.", ""]
    return "\n".join(lines)


def _said(finding: Finding) -> str:
    reason = " ".join(finding.reason.split())
    return about(finding.target, reason)


def _remediation(after: After) -> str:
    rows = [f"| {task.title.replace('|', '/')} | {task.owner} | {_time(task.due)} |" for task in tasks(after)]
    head = [f"# Plan after change {after.change}", "", "| task | owner | due |", "|---|---|---|"]
    calls = [f"{number}. {call}" for number, call in enumerate(after.calls, start=1)]
    order = [
        "",
        "Whom to call, in this order:",
        "",
        *(calls or ["the contact list is empty: add `contacts`"]),
    ]
    return "\n".join([*head, *rows, *order, ""])


def _status(after: After) -> str:
    incident = after.incident
    back = [event for event in incident.events if event.what is What.ROLLED_BACK]
    said = (
        f"Change {after.change} on {after.inventory} was rolled back; every step was verified at {_time(back[-1].at.wall)}."
        if back
        else f"Change {after.change} on {after.inventory} is {incident.state.value}."
    )
    lines = [f"# Status of change {after.change}", "", said, ""]
    lines += [
        f"- {_time(event.at.wall)}: {event.what.value} {event.says} ({event.by})".replace("  ", " ")
        for event in incident.events
    ]
    lines += ["", f"Lost by the rollback: {after.lost or 'nothing known'}."]
    lines.append(f"Next attempt: {_time(after.retry) if after.retry else 'not scheduled yet'}.")
    if after.rollback:
        took_s = sum(line.took_s for line in after.rollback.lines if line.mark is Mark.DONE)
        lines.append(f"The rollback steps took {words_for(took_s)}.")
    return "\n".join([*lines, ""])


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _appointment(after: After, at: datetime) -> str:
    """Write a calendar entry, RFC 5545: CRLF line ends, text escaped (3.3.11), lines folded (3.1)."""
    stamp = "%Y%m%dT%H%M%SZ"
    begin = at.astimezone(UTC)
    what = "; ".join(task.title for task in tasks(after))
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//pytest-deploygate//retry//EN",
        "BEGIN:VEVENT",
        f"UID:{after.incident.id}-{after.change}@pytest-deploygate",
        f"DTSTAMP:{after.incident.opened.wall.astimezone(UTC):{stamp}}",
        f"DTSTART:{begin:{stamp}}",
        f"DTEND:{begin + timedelta(hours=1):{stamp}}",
        f"SUMMARY:{_escaped(f'Retry of change {after.change}')}",
        f"DESCRIPTION:{_escaped(f'To do first: {what}')}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _escaped(text: str) -> str:
    for mark in ("\\", ";", ","):
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    """Fold a line so that none is longer than 75 octets and no character is split."""
    parts, now = [], b""
    for character in line:
        raw = character.encode()
        if len(now) + len(raw) > _FOLD:
            parts.append(now)
            now = b""
        now += raw
    return "\r\n ".join(part.decode() for part in [*parts, now])
