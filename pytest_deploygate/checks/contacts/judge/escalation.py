"""An escalation works when it has an order without ties, and at every hour of a week somebody of it answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pytest_deploygate.checks.contacts.facts import EscalationSeen, StepSeen
from pytest_deploygate.fields.contacts import WEEK_MIN, spans
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.contacts.section import ContactRules

_WEEK = timedelta(days=7)


def escalation(seen: EscalationSeen, rules: ContactRules) -> Judgement:
    """Judge the escalation of a contact list for the week that begins now. Hours are those of each contact's zone."""
    found = Collector(most=5)
    steps, least = seen.steps, rules.escalation_steps
    places = [one.place for one in steps]
    found.read(
        Reading("steps of the escalation", len(steps), limit=f"at least {least}", ok=len(steps) >= least)
    )
    if len(steps) < least:
        found.wrong(
            f"{len(steps)} contacts have a place in the escalation, and {least} must: give them `escalation: 1`, "
            "`escalation: 2` and so on"
        )
    for place in dict.fromkeys(places):
        if places.count(place) > 1:
            roles = ", ".join(one.role for one in steps if one.place == place)
            found.wrong(f"{roles} have the same place {place}: say who is called first")
    wanted = list(range(1, len(set(places)) + 1))
    if sorted(set(places)) != wanted and steps:
        said = ", ".join(str(place) for place in dict.fromkeys(places))
        found.wrong(f"the places are {said}: number them from 1 without a hole")
    if steps:
        holes = _holes(steps, seen.at)
        without = sum((end - start for start, end in holes), timedelta())
        found.read(
            Reading(
                "time of a week without anybody", without.total_seconds() / 3600, "h", "0 h", ok=not holes
            )
        )
        for start, end in holes:
            found.wrong(
                f"nobody of the escalation answers from {_words(start)} to {_words(end)} ({words_for(end - start)}): "
                "extend `hours`, or add a contact"
            )
    return found.judgement(
        lambda: f"{', then '.join(one.role for one in steps)}; one of them answers at every hour of a week"
    )


def _holes(steps: Sequence[StepSeen], now: datetime) -> list[tuple[datetime, datetime]]:
    start = now.astimezone(UTC).replace(second=0, microsecond=0)
    end = start + _WEEK
    times = sorted(span for one in steps for span in _answers(one, start, end))
    holes, until = [], start
    for first, last in times:
        if first > until:
            holes.append((until, min(first, end)))
        until = max(until, last)
        if until >= end:
            break
    if until < end:
        holes.append((until, end))
    return holes


def _answers(one: StepSeen, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Return the times in which a contact answers. Clock times are of its zone, also when its clocks change."""
    if not one.hours:
        return [(start, end)]
    zone = ZoneInfo(one.zone)
    local = start.astimezone(zone)
    monday = (local - timedelta(days=local.weekday())).replace(hour=0, minute=0, tzinfo=None)
    found = []
    for week in (-1, 0, 1):
        for hours in one.hours:
            for first, last in spans(hours):
                begin, stop = (
                    (monday + timedelta(minutes=week * WEEK_MIN + minutes))
                    .replace(tzinfo=zone)
                    .astimezone(UTC)
                    for minutes in (first, last)
                )
                if stop > start and begin < end:
                    found.append((begin, stop))
    return found


def _words(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%a %Y-%m-%d %H:%M UTC")
