"""Somebody is on call at every time of the window, and whoever it is can be found in the contact list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pytest_deploygate.checklist.same_person import same_person
from pytest_deploygate.checks.on_call.facts import Rota, Shift
from pytest_deploygate.fields.contacts import Contact, Reachable
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

__all__ = ["judge"]

#: Systems end a shift a second before the next one begins.
_SEAM = timedelta(minutes=1)


def judge(seen: Rota, contacts: Sequence[Contact]) -> Judgement:
    """Judge who is on call: no time without anybody, and nobody who is not in the contact list."""
    found = Collector(most=5)
    gaps = _gaps(seen)
    without = sum(((end - start) for start, end in gaps), timedelta())
    found.read(
        Reading("time without anybody on call", round(without.total_seconds()), "s", "0 s", ok=not gaps)
    )
    for start, end in gaps:
        found.wrong(
            f"nobody is on call from {_words(start)} to {_words(end)} ({words_for(end - start)}): fill the schedule",
            where=seen.source,
        )
    shifts = [shift for shift in seen.shifts if shift.end > seen.start and shift.start < seen.end]
    strangers = [shift for shift in shifts if not _listed(shift, contacts)]
    if shifts:
        found.read(
            Reading(
                "shifts of somebody who is not in the contact list",
                len(strangers),
                limit="0",
                ok=not strangers,
            )
        )
    for shift in strangers:
        who = " / ".join(shift.who) or "somebody without a name"
        found.wrong(
            f"{who} is on call from {_words(shift.start)} and is not in the contact list: add a contact or a deputy "
            "with this address, or correct the schedule",
            where=seen.source,
        )
    return found.judgement(lambda: _good(seen, shifts))


def _gaps(seen: Rota) -> list[tuple[datetime, datetime]]:
    gaps, until = [], seen.start
    for shift in sorted(seen.shifts, key=lambda shift: shift.start):
        if shift.end <= until:
            continue
        if shift.start >= seen.end:
            break
        if shift.start - until > _SEAM:
            gaps.append((until, shift.start))
        until = max(until, shift.end)
    if seen.end - until > _SEAM:
        gaps.append((until, seen.end))
    return gaps


def _listed(shift: Shift, contacts: Sequence[Contact]) -> bool:
    people: list[Reachable] = [one for contact in contacts for one in (contact, *contact.deputies)]
    return any(_is(who, person) for who in shift.who for person in people)


def _is(who: str, person: Reachable) -> bool:
    if "@" in who:
        return bool(person.mail) and who.casefold() == person.mail.casefold()
    if isinstance(person, Contact) and same_person(who, person.role):
        return True
    return bool(person.name) and same_person(who, person.name)


def _good(seen: Rota, shifts: Sequence[Shift]) -> str:
    now = next((shift for shift in shifts if shift.start <= seen.start < shift.end), shifts[0])
    return (
        f"{now.who[0]} is on call now, somebody is until {_words(seen.end)}, and everybody of {len(shifts)} "
        f"{'shift is' if len(shifts) == 1 else 'shifts is'} in the contact list"
    )


def _words(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
