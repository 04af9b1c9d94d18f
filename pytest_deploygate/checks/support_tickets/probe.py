"""Counts tickets since go-live, and in the same hours before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pytest_deploygate.checks.support_tickets.facts import SeverityCount, TicketCounts
from pytest_deploygate.checks.support_tickets.section import SupportTickets
from pytest_deploygate.clients import tickets_search
from pytest_deploygate.clients.host import shell
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

__all__ = ["count"]

_HOOK_S = 60.0


def count(settings: SupportTickets, since: datetime | None, now: datetime | None = None) -> TicketCounts:
    """Count the tickets of each severity from `since` on. Raises CannotTell."""
    now = now or datetime.now(UTC)
    if settings.system:
        return _of_tracker(settings, settings.system, since, now)
    if settings.hook:
        code, output, errors = shell.shell("local://", _HOOK_S)(settings.hook)
        if code != 0:
            said = shortened(redact(errors or " ".join(output.split())), 200)
            raise CannotTell(
                f"the hook of support_tickets ended with exit code {code}: {said or 'it said nothing'}"
            )
        return _written(output.encode(), "the hook of support_tickets", now)
    try:
        raw = bounded.read(str(settings.file))
    except OSError as error:
        raise CannotTell(f"{settings.file} cannot be read: {error}") from None
    return _written(raw, str(settings.file), now)


def _of_tracker(settings: SupportTickets, system: str, since: datetime | None, now: datetime) -> TicketCounts:
    if since is None:
        raise CannotTell("go-live is unknown: add `support_tickets.since`, or `timetable` with `t0`")
    if since >= now:
        raise CannotTell(
            f"go-live is on {since:%Y-%m-%d %H:%M} UTC, which has not come: count again after it"
        )
    own = {"PRIVATE-TOKEN": settings.private_token.reveal()} if settings.private_token else {}
    tracker = tickets_search.Tracker(system, settings.url or "", settings.project, settings, own)
    after = tickets_search.Span(since, now, now)
    before = tickets_search.Span(since - settings.before, now - settings.before, now)
    counts = [
        SeverityCount(
            one.name,
            tickets_search.count(tracker, one.filter, after),
            tickets_search.count(tracker, one.filter, before),
        )
        for one in settings.severities
    ]
    return TicketCounts(system, since, now, now, tuple(counts))


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("`at` has no time zone")
    return found.astimezone(UTC)


def _written(raw: bytes, source: str, now: datetime) -> TicketCounts:
    try:
        said: dict[str, Any] = bounded.from_json(raw)
        at = _time(said["at"])
        since, before = (_numbers(said.get(key, {}), key) for key in ("since", "before"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CannotTell(
            f"{source} has no counts that can be read: {type(error).__name__}: {error}"
        ) from None
    names = list(dict.fromkeys((*since, *before)))
    counts = tuple(SeverityCount(name, since.get(name), before.get(name)) for name in names)
    return TicketCounts(source, None, at, now, counts)


def _numbers(said: dict[str, Any], key: str) -> dict[str, int]:
    for name, number in said.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise ValueError(f"`{key}` of {name} is {number!r}, and no count")
    return said
