"""Tickets since go-live: none above its limit, and not many more than in the same hours before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_deploygate.checks.support_tickets.facts import TicketCounts
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.support_tickets.section import SupportTickets

__all__ = ["judge"]


def judge(seen: TicketCounts, settings: SupportTickets) -> Judgement:
    """Judge the tickets of each severity: by its own limit, else by the baseline."""
    found = Collector(about=seen.source)
    if seen.now - seen.at > settings.fresh:
        old = words_for(seen.now - seen.at)
        found.unknown(f"its counts are {old} old, and may be {words_for(settings.fresh)}: let it count again")
    said = {one.name: one for one in seen.counts}
    for severity in settings.severities:
        count = said.get(severity.name)
        if count is None or count.since is None:
            found.unknown(
                f"it does not say how many tickets are {severity.name}: mend `filter`, or what it prints"
            )
            continue
        most = severity.most
        if most is None:
            if count.before is None:
                found.unknown(
                    f"it has no baseline of {severity.name}, and the severity has no `most`: give one of them"
                )
                continue
            most = math.floor(count.before * settings.factor) + settings.more
        ok = count.since <= most
        name = f"tickets since go-live, {severity.name}"
        found.read(Reading(name, count.since, limit=f"at most {most}", ok=ok))
        if count.before is not None:
            found.read(Reading(f"tickets in the same hours before, {severity.name}", count.before))
        if not ok:
            tickets = "ticket is" if count.since == 1 else "tickets are"
            found.wrong(
                f"{count.since} {tickets} {severity.name} since go-live, at most {most} may be: look at them, and enter what "
                "they show into the issue log"
            )
    return found.judgement(lambda: _good(seen))


def _good(seen: TicketCounts) -> str:
    counts = ", ".join(f"{one.since} {one.name}" for one in seen.counts)
    return f"{seen.source}: {counts} since go-live, within their limits"
