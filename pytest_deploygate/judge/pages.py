"""Pages: the policy is there with a date that fits, the maintenance page needs nothing but its server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from pytest_deploygate.inventory.pages import Maintenance, PolicyPage
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for, words_for_bytes
from pytest_deploygate.probes.pages import MaintenanceFacts, Page

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
            confirmed=True,
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
            confirmed=True,
        )
    return Judgement(Verdict.PASS, f"{found.url} is served and states {newest}", readings)


def judge_maintenance(found: MaintenanceFacts, expected: Maintenance) -> Judgement:
    """Pass when it answers 503 with Retry-After, is small, self-contained, and was seen with the application down."""
    pages = found.reads
    unread = [page for page in pages if page.status is None]
    if unread or not pages:
        problem = unread[0].problem if unread else "it was not read"
        return Judgement(Verdict.INCONCLUSIVE, f"{expected.url} could not be read: {problem}")
    readings = tuple(_readings(pages[0], expected))
    wrong = [*dict.fromkeys(text for page in pages for text in _page(page, expected))]
    if len({page.sha256 for page in pages}) > 1:
        wrong.append(
            "two reads gave different pages: something makes it, an application or a database; serve a file"
        )
    notes = tuple(dict.fromkeys(f"sets the cookie {name}" for page in pages for name in page.cookies))
    if wrong:
        return Judgement(
            Verdict.FAIL, f"{expected.url}: " + "; ".join(wrong), readings, notes, confirmed=True
        )
    return _drilled(found, expected, readings, notes)


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


def _drilled(
    found: MaintenanceFacts, expected: Maintenance, readings: tuple[Reading, ...], notes: tuple[str, ...]
) -> Judgement:
    record, url = found.record, expected.url
    if expected.drill is None:
        reason = f"{url} is as it should be, but that it is served with the application down was not seen: say `drill: {{stop: …, start: …}}`"
        return Judgement(Verdict.INCONCLUSIVE, reason, readings, notes)
    if record is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"there is no record of a drill in {expected.drill.record}; {_AGAIN}",
            readings,
            notes,
        )
    age: timedelta = found.reads[0].at - record.at
    when = datetime.strftime(record.at.astimezone(UTC), "%Y-%m-%d %H:%M UTC")
    if record.outcome != "good":
        return Judgement(
            Verdict.FAIL, f"the drill of {when}: {record.outcome}", readings, notes, confirmed=True
        )
    if record.sha256 != found.reads[0].sha256:
        return Judgement(
            Verdict.INCONCLUSIVE, f"{url} has changed since the drill of {when}; {_AGAIN}", readings, notes
        )
    if age > expected.drill.max_age:
        limit = words_for(expected.drill.max_age)
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the drill on record is {words_for(age)} old, limit {limit}; {_AGAIN}",
            readings,
            notes,
        )
    return Judgement(
        Verdict.PASS,
        f"{url} answers 503 with Retry-After {found.reads[0].retry_after}, {words_for_bytes(found.reads[0].size_bytes)} in one file, "
        f"served with the application down on {when}",
        readings,
        notes,
        confirmed=True,
    )


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
