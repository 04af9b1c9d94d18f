"""A briefing counts when it was held for this change, and every role that had to be there was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.checks.handover.facts import BriefingSeen, BriefingsSeen
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

_SLACK = timedelta(minutes=5)


def briefing(seen: BriefingsSeen, since: date | None) -> Judgement:
    """Judge the briefings of an item. Several count together: a role may come to either."""
    found = Collector()
    held = [one for one in seen.briefings if _held(one, since, seen.at, found)]
    required = list(dict.fromkeys(slug(role) for one in seen.briefings for role in one.required))
    came = {slug(role) for one in held for role in one.came}
    absent = [role for role in required if role not in came]
    found.read(
        Reading("roles present", len(required) - len(absent), limit=f"{len(required)}", ok=not absent),
    )
    if held and absent:
        found.wrong(
            f"{', '.join(absent)} {'was' if len(absent) == 1 else 'were'} not present: brief them, and add them to "
            "`present`, or a second briefing"
        )
    return found.judgement(lambda: _good(held, required))


def _held(one: BriefingSeen, since: date | None, now: datetime, found: Collector) -> bool:
    if one.at > now + _SLACK:
        found.wrong(f"the briefing is planned for {_words(one.at)}, and has not been held yet: hold it first")
        return False
    if since is not None and one.at.date() < since:
        found.wrong(
            f"the briefing of {_words(one.at)} was before {since}, for another change: hold one for this change"
        )
        return False
    return True


def _good(held: Sequence[BriefingSeen], required: Sequence[str]) -> str:
    last = max(one.at for one in held)
    return f"{', '.join(required)}: all present, the last time on {_words(last)}"


def _words(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
