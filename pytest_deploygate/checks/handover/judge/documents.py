"""A document is handed over when it is there, says what it must, and was brought up to date for this change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from pytest_deploygate.checks.handover.facts import DocumentSeen, ImprovementSeen, LinkSeen
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.handover.section import Handover


def documents(seen: Sequence[DocumentSeen], since: date | None) -> Judgement:
    """Judge documents: each answers, has its text, and was changed on or after `since` (None: it is not known)."""
    found = Collector(most=5)
    answer = sum(one.link.good for one in seen)
    found.read(_counted("documents that answer", answer, len(seen), [one.link for one in seen]))
    for one in seen:
        where = f"{one.name} ({one.owner})"
        if not one.link.good:
            _link(one.link, where, found)
            continue
        if one.empty:
            found.wrong(f"{one.link.where} is empty: write it", where=where)
        if one.lacks:
            lacks = ", ".join(repr(text) for text in one.lacks)
            found.wrong(f"{one.link.where} does not say {lacks}: bring it up to date", where=where)
        _age(one, since, where, found)
    return found.judgement(lambda: _good(seen, since))


def _link(link: LinkSeen, where: str, found: Collector) -> None:
    if link.gone:
        status = f"HTTP {link.status}" if link.status else "no such file"
        found.wrong(
            f"{link.where} is a dead link ({status}): correct it, or put the document there", where=where
        )
    elif link.login:
        found.unknown(
            f"{link.where} answers with a login ({link.login}), so nobody knows what is there: give a `token` or `auth`",
            where=where,
        )
    else:
        found.unknown(f"{link.where} cannot be looked at from here: {link.problem}", where=where)


def _age(one: DocumentSeen, since: date | None, where: str, found: Collector) -> None:
    if one.changed is None:
        found.unknown(
            f"when {one.link.where} was last changed is unknown ({one.unknown_age}): write `changed: 2026-12-01` beside it",
            where=where,
        )
    elif since is None:
        found.unknown(
            "since when it must have been changed is unknown: add `timetable` with `t0`, or `handover.since`"
        )
    elif one.changed.astimezone(UTC).date() < since:
        found.read(Reading(f"{one.name}, last changed", _day(one.changed), limit=f"from {since}", ok=False))
        found.wrong(
            f"{one.link.where} was last changed on {_day(one.changed)}, by {one.by}, which is before {since}: bring it up "
            "to date for this change",
            where=where,
        )
    else:
        found.read(Reading(f"{one.name}, last changed", _day(one.changed), limit=f"from {since}", ok=True))


def _counted(name: str, good: int, all_: int, links: Sequence[LinkSeen]) -> Reading:
    ok = True if good == all_ else False if any(link.gone for link in links) else None
    return Reading(name, good, limit=f"{all_}", ok=ok)


def _good(seen: Sequence[DocumentSeen], since: date | None) -> str:
    names = ", ".join(one.name for one in seen)
    return f"{names}: {'each answers' if len(seen) > 1 else 'answers'}, last changed on or after {since}"


def _day(when: datetime) -> str:
    return when.astimezone(UTC).date().isoformat()


def improvements(seen: Sequence[ImprovementSeen], settings: Handover) -> Judgement:
    """Judge improvements: each has a ticket, and the ticket exists where it could be asked for."""
    found = Collector(most=5)
    tickets = [one for one in seen if any(c.isdigit() for c in one.ticket)]
    found.read(
        Reading(
            "improvements with a ticket", len(tickets), limit=f"{len(seen)}", ok=len(tickets) == len(seen)
        )
    )
    for one in seen:
        where = f"{one.what} ({one.owner})"
        if not one.ticket:
            found.wrong("it has no ticket, so it will be forgotten: open one and add its key", where=where)
        elif one not in tickets:
            found.wrong(
                f"{one.ticket!r} is no ticket: write a key such as OPS-17, or an address", where=where
            )
        elif one.link is not None and not one.link.good:
            _link(one.link, where, found)
        elif one.link is None and settings.tracker is None:
            found.note(
                f"{one.ticket} was not looked up: `handover.tracker` says where tickets are", where=where
            )
    return found.judgement(
        lambda: (
            f"{len(seen)} {'improvement has its ticket' if len(seen) == 1 else 'improvements have their tickets'}"
        )
    )
