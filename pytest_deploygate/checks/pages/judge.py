"""Pages: the policy is there with a date that fits, the maintenance page needs nothing but its server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from pytest_deploygate.checks.pages.facts import MaintenanceFacts, Page
from pytest_deploygate.checks.pages.section import Maintenance, PolicyPage
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for, words_for_bytes

__all__ = ["judge_drill", "judge_maintenance", "judge_policy"]

_AGAIN = "run it with --allow-disruptive=INVENTORY"


def judge_policy(found: Page, expected: PolicyPage) -> Judgement:
    """Pass when the page is served and the newest date on it is not older than the policy's change."""
    if found.status is None:
        return Judgement(Verdict.INCONCLUSIVE, f"{found.url} could not be read: {found.problem}")
    if found.status != 200:
        return Judgement(
            Verdict.FAIL,
            f"{found.url} answers {found.status}: the page is not there; publish it",
            (Reading("status", found.status, limit="200", ok=False),),
        )
    lacking = [words for words in expected.contains if words.casefold() not in found.text.casefold()]
    if lacking:
        return Judgement(
            Verdict.FAIL,
            f"{found.url} does not have the words {', '.join(map(repr, lacking))}: is it the right page?",
        )
    today = found.at.date()
    past = [day for day in found.dates if day <= today]
    if not past:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.url} states no date that can be read, so it cannot be told whether it is the new one; write for "
            "example `Last updated: 24 November 2026`",
        )
    newest = max(past)
    oldest = expected.not_before or (found.at - expected.max_age).date()
    readings = (
        Reading("status", found.status, limit="200", ok=True),
        Reading("date on the page", newest.isoformat(), limit=f"not before {oldest}", ok=newest >= oldest),
    )
    if newest < oldest:
        why = "the change of the policy" if expected.not_before else f"{words_for(expected.max_age)} ago"
        return Judgement(
            Verdict.FAIL,
            f"{found.url} is of {newest}, before {oldest} ({why}): publish the new one",
            readings,
        )
    return Judgement(Verdict.PASS, f"{found.url} is served and states {newest}", readings)


def judge_maintenance(found: tuple[Page, ...], expected: Maintenance) -> Judgement:
    """Pass when every read answers 503 with Retry-After, small, self-contained, and the same as the others."""
    unread = [page for page in found if page.status is None]
    if unread or not found:
        problem = unread[0].problem if unread else "it was not read"
        return Judgement(Verdict.INCONCLUSIVE, f"{expected.url} could not be read: {problem}")
    readings = tuple(_readings(found[0], expected))
    wrong = [*dict.fromkeys(text for page in found for text in _page(page, expected))]
    if len({page.sha256 for page in found}) > 1:
        wrong.append(
            "two reads gave different pages: something makes it, an application or a database; serve a file"
        )
    notes = tuple(dict.fromkeys(f"sets the cookie {name}" for page in found for name in page.cookies))
    if wrong:
        return Judgement(Verdict.FAIL, f"{expected.url}: " + "; ".join(wrong), readings, notes)
    reason = (
        f"{expected.url} answers 503 with Retry-After {found[0].retry_after}, "
        f"{words_for_bytes(found[0].size_bytes)} in one file"
    )
    return Judgement(Verdict.PASS, reason, readings, notes)


def _page(page: Page, expected: Maintenance) -> Iterator[str]:
    if page.status != 503:
        why = (
            "search engines and clients take it for the real page"
            if page.status == 200
            else "it is not ready"
        )
        yield f"answers {page.status}, expected 503: {why}"
    if page.redirected_to:
        yield f"redirects to {page.redirected_to}"
    if not _waits(page.retry_after):
        yield (
            f"Retry-After is {page.retry_after!r}"
            if page.retry_after
            else "no Retry-After: clients try again at once"
        )
    if page.size_bytes > expected.max_size:
        yield f"{words_for_bytes(page.size_bytes)} large, limit {words_for_bytes(expected.max_size)}"
    if page.size_bytes == 0:
        yield "the page is empty"
    if page.outside:
        yield f"loads {', '.join(page.outside[:3])}: put it into the page, for those may be down, too"


def _waits(value: str | None) -> bool:
    """Tell whether a Retry-After can be used: seconds or an HTTP date (RFC 9110 section 10.2.3)."""
    if value is None:
        return False
    if value.isdigit():
        return int(value) > 0
    try:
        return parsedate_to_datetime(value).tzinfo is not None
    except ValueError:
        return False


def judge_drill(found: MaintenanceFacts, expected: Maintenance) -> Judgement:
    """Pass when a drill of this run or on record saw this very page served with the application down."""
    record, page = found.record, found.page
    if expected.drill is None:
        reason = f"that {expected.url} is served with the application down was not seen: say `drill: {{stop: …, start: …}}`"
        return Judgement(Verdict.INCONCLUSIVE, reason)
    if record is None:
        reason = f"there is no record of a drill in {expected.drill.record}; {_AGAIN}"
        return Judgement(Verdict.INCONCLUSIVE, reason)
    age: timedelta = page.at - record.at
    when = datetime.strftime(record.at.astimezone(UTC), "%Y-%m-%d %H:%M UTC")
    limit = words_for(expected.drill.max_age)
    ok = age <= expected.drill.max_age
    readings = (Reading("age of the drill", words_for(age), limit=f"at most {limit}", ok=ok),)
    if record.outcome != "good":
        return Judgement(Verdict.FAIL, f"the drill of {when}: {record.outcome}", readings)
    if page.status is None:
        reason = (
            f"{expected.url} could not be read, so it cannot be told whether it is the one of the drill of {when}: "
            f"{page.problem}"
        )
        return Judgement(Verdict.INCONCLUSIVE, reason, readings)
    if record.sha256 != page.sha256:
        reason = f"{expected.url} has changed since the drill of {when}; {_AGAIN}"
        return Judgement(Verdict.INCONCLUSIVE, reason, readings)
    if not ok:
        reason = f"the drill on record is {words_for(age)} old, limit {limit}; {_AGAIN}"
        return Judgement(Verdict.INCONCLUSIVE, reason, readings)
    done = "just now" if record.fresh else f"on {when}"
    return Judgement(Verdict.PASS, f"{expected.url} was served with the application down {done}", readings)


def _readings(page: Page, expected: Maintenance) -> Iterator[Reading]:
    yield Reading("status", page.status, limit="503", ok=page.status == 503)
    yield Reading("Retry-After", page.retry_after, limit="seconds or a date", ok=_waits(page.retry_after))
    yield Reading(
        "size",
        page.size_bytes,
        "B",
        f"at most {words_for_bytes(expected.max_size)}",
        ok=page.size_bytes <= expected.max_size,
    )
    yield Reading("loads from elsewhere", len(page.outside), limit="0", ok=not page.outside)
