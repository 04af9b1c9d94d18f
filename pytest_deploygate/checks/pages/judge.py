"""Pages: the policy is published and up to date; the maintenance page depends on nothing but its server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_deploygate.checks.pages.facts import MaintenanceFacts, Page
from pytest_deploygate.drills.judging import counted, rerun, when
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for, words_for_bytes
from pytest_deploygate.redaction import shortened

if TYPE_CHECKING:
    from pytest_deploygate.checks.pages.section import Maintenance, PolicyPage

__all__ = ["judge_drill", "judge_maintenance", "judge_policy"]

#: Titles of error pages that are sent with 200, in some languages, and of logins.
_ERROR = re.compile(
    r"\b(?:404|410|500|502|503)\b.{0,20}(?:error|not found|fehler|erreur)|\b(?:error|fehler|erreur) (?:404|500)\b|^(?:404|500)\b"
    r"|(?:page|document|file|url) (?:was |could |can)?\s*(?:not be |not )found|\bnot found\b|nicht gefunden|introuvable|no encontrad|non trovat|niet gevonden",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"\b(?:log-?in|sign-?in|sso|oauth2?|auth|anmelden|anmeldung|connexion)\b|\blog in\b|\bsign in\b",
    re.IGNORECASE,
)
#: A page with fewer words than this has no policy in it.
_FEW_WORDS = 30
#: A cache may spare the server this long.
_KEPT_S = 60
_FOR_PEOPLE = ("text/html", "application/xhtml+xml", "text/plain")
#: Two identical reads show that the page is static.
_LEAST_READS = 2


def judge_policy(found: Page, expected: PolicyPage) -> Judgement:
    """Pass when the page is served and the newest date on it is not before the policy change.

    A page that was not read, or that states no date up to today, is inconclusive.
    """
    if found.astray:
        return Judgement(
            Verdict.FAIL,
            f"{found.url} cannot be opened by anybody: {found.problem}; correct the redirect",
            (Reading("a page of its own", "no", limit="yes", ok=False),),
        )
    if found.status is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.url} could not be read ({found.problem or 'no reason was recorded'}): check that it is up",
        )
    if found.status != 200:
        return Judgement(
            Verdict.FAIL,
            f"{found.url} answers {found.status}, expected 200: publish the page",
            (Reading("status", found.status, limit="200", ok=False),),
        )
    if doubt := _another_page(found):
        return doubt
    lacking = [words for words in expected.contains if words.casefold() not in found.text.casefold()]
    if lacking and found.cut:
        return _cut(found, f"the words {', '.join(map(repr, lacking))} are not in it")
    if lacking:
        return Judgement(
            Verdict.FAIL,
            f"{found.url} lacks the words {', '.join(map(repr, lacking))}: check that it is the right page",
            (
                Reading("status", found.status, limit="200", ok=True),
                Reading("expected words that are missing", len(lacking), limit="0", ok=False),
            ),
        )
    today = found.at.date()
    past = [day for day in found.dates if day <= today]
    if not past and found.cut:
        return _cut(found, "there is no date in it")
    if not past:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.url} contains no readable date, so whether it is up to date is unknown; write for example "
            "`Last updated: 24 November 2026`",
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
            f"{found.url} is dated {newest}, before {oldest} ({why}): publish the new version",
            readings,
        )
    if not expected.contains and (doubt := _perhaps_another(found)):
        return doubt
    notes = []
    if not expected.contains:
        notes.append("its words were not compared: name some that must be on it with `contains`")
    if found.cut:
        notes.append(f"only its first {words_for_bytes(found.size_bytes)} were read")
    if found.redirected_to:
        notes.append(f"it redirects to {found.redirected_to}")
    return Judgement(Verdict.PASS, f"{found.url} is served and dated {newest}", readings, tuple(notes))


def _cut(found: Page, what: str) -> Judgement:
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"only the first {words_for_bytes(found.size_bytes)} of {found.url} were read, and {what}: make the page smaller",
    )


def _another_page(found: Page) -> Judgement | None:
    """Tell a page that answers 200 in place of the policy: a login, the start page, an error page."""
    if found.sends_on_to:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.url} sends browsers on to {found.sends_on_to} (a refresh within seconds), so what visitors read is unknown: "
            "name that address as `url`, or serve the policy here",
        )
    titles = " / ".join(found.titles)
    path = urlsplit(found.redirected_to).path if found.redirected_to else ""
    asks = found.asks_password or _LOGIN.search(path) or _LOGIN.search(titles)
    if (found.redirected_to and asks) or (found.like_missing and (found.asks_password or found.posts)):
        leads = (
            f"redirects to a login ({found.redirected_to})"
            if found.redirected_to
            else f"shows a form as a page that does not exist does ({found.like_missing}), perhaps a login"
        )
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.url} {leads}, so what visitors read is unknown: publish it without a login, "
            "or give the gate one",
        )
    wrong = ""
    if found.redirected_to and path in ("", "/") and urlsplit(found.url).path not in ("", "/"):
        wrong = f"redirects to the start page {found.redirected_to}"
    elif found.titles and _ERROR.search(titles):
        wrong = f"answers 200 with an error page ({shortened(titles, 80)!r})"
    elif found.like_missing and found.words < _FEW_WORDS:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.url} has the same few words as a page that does not exist ({found.like_missing}): scripts, which are not run, "
            "make its text, or it is an error page; serve the text itself",
        )
    elif found.like_missing:
        wrong = f"answers with the same text as a page that does not exist ({found.like_missing})"
    if wrong:
        return Judgement(
            Verdict.FAIL,
            f"{found.url} {wrong}: publish the page, and answer 404 for what does not exist",
            (
                Reading("status", found.status, limit="200", ok=True),
                Reading("a page of its own", "no", limit="yes", ok=False),
            ),
        )
    return None


def _perhaps_another(found: Page) -> Judgement | None:
    """Tell a page that may be an error page by its shape, whatever its language. Expected words would settle it."""
    said = ""
    if found.titled_like_missing:
        said = f"has the title {shortened(' / '.join(found.titles), 80)!r}, as a page that does not exist ({found.titled_like_missing})"
    elif found.redirected_to and found.posts:
        said = f"redirects to {found.redirected_to}, a page with a form"
    elif found.words < _FEW_WORDS:
        said = f"has only {found.words} words, {_FEW_WORDS} or more are expected of a policy"
    if not said:
        return None
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"{found.url} {said}: it may be an error page or a login; name words that must be on it with `contains`",
        (
            Reading(
                "words", found.words, limit=f"at least {_FEW_WORDS}", ok=found.words >= _FEW_WORDS or None
            ),
        ),
    )


def judge_maintenance(found: tuple[Page, ...], expected: Maintenance) -> Judgement:
    """Pass when every read answers 503 with Retry-After, small, self-contained, and the same as the others.

    A defect in one read is a failure even if another read got no answer. One read alone cannot show that the file is
    static.
    """
    read = [page for page in found if page.status is not None]
    wrong = [*dict.fromkeys(text for page in read for text in _page(page, expected))]
    wrong += dict.fromkeys(f"{page.problem}: serve it without a redirect" for page in found if page.astray)
    versions = {page.sha256 for page in read}
    if len(versions) > 1:
        wrong.append(
            "reads returned different pages, so an application or database generates it: serve a static file"
        )
    notes = tuple(dict.fromkeys(f"sets the cookie {name}" for page in read for name in page.cookies))
    shown = next((page for page in read if [*_page(page, expected)]), read[0] if read else None)
    readings = (*_readings(shown, expected), *_reads(found, read)) if shown else ()
    if any(page.astray for page in found):
        readings += (Reading("redirect", "leads nowhere", limit="none", ok=False),)
    if wrong:
        return Judgement(Verdict.FAIL, f"{expected.url}: " + "; ".join(wrong), readings, notes)
    if len(read) < max(len(found), _LEAST_READS):
        problem = next((page.problem for page in found if page.status is None), "")
        reason = f"{expected.url} was read {len(read)} of {max(len(found), _LEAST_READS)} times"
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{reason} ({problem or 'no reason was recorded'}): check that it is up, and run this again",
            readings,
            notes,
        )
    reason = (
        f"{expected.url} answers 503 with Retry-After {read[0].retry_after}, "
        f"{words_for_bytes(read[0].size_bytes)} in one file"
    )
    return Judgement(Verdict.PASS, reason, readings, notes)


def _reads(found: tuple[Page, ...], read: list[Page]) -> Iterator[Reading]:
    versions = len({page.sha256 for page in read})
    ok = False if versions > 1 else None if len(read) < max(len(found), _LEAST_READS) else True
    yield Reading(f"different pages in {len(read)} reads", versions, limit="" if ok is None else "1", ok=ok)


def _page(page: Page, expected: Maintenance) -> Iterator[str]:
    if page.status != 503:
        why = (
            "search engines and clients take 200 for the real page; return 503"
            if page.status == 200
            else "it is not ready; check the web server's configuration"
        )
        yield f"answers {page.status}, expected 503: {why}"
    if page.redirected_to:
        yield f"redirects to {page.redirected_to}: serve it without a redirect"
    if not _waits(page):
        yield (
            f"Retry-After is {shortened(page.retry_after, 60)!r}: send seconds or a date in the future"
            if page.retry_after
            else "no Retry-After, so clients retry at once: send it"
        )
    if page.size_bytes > expected.max_size:
        yield (
            f"size {words_for_bytes(page.size_bytes)}, limit {words_for_bytes(expected.max_size)}: make it smaller"
        )
    if page.kept_s > _KEPT_S:
        yield (
            f"caches may keep it for {words_for(timedelta(seconds=page.kept_s))}, also after the platform is back: send Cache-Control: no-store"
        )
    kind = _kind(page)
    if kind not in ("", *_FOR_PEOPLE):
        yield f"is {kind}, which is no page for people: serve HTML"
    if page.size_bytes == 0:
        yield "the page is empty: write one"
    if page.outside:
        yield f"loads {', '.join(page.outside[:3])}: inline it, because its server may be down too"


def _kind(page: Page) -> str:
    return page.content_type.partition(";")[0].strip().lower()


def _waits(page: Page) -> bool:
    """Return whether Retry-After makes clients wait: seconds, or an HTTP date in the future (RFC 9110 section 10.2.3)."""
    value = page.retry_after
    if value is None:
        return False
    try:
        if value.isascii() and value.isdigit():
            return int(value) > 0
        until = parsedate_to_datetime(value)
    except ValueError:
        return False
    return until.tzinfo is not None and until > page.at


def judge_drill(found: MaintenanceFacts, expected: Maintenance) -> Judgement:
    """Pass when a drill of this run or on record saw this exact page served with the application down.

    A record of another environment, configuration or page, from the future, too old, or one that contradicts its own
    outcome is inconclusive.
    """
    page = found.page
    if expected.drill is None:
        reason = (
            f"whether {expected.url} is served with the application down was never tested: add "
            "`drill: {stop: …, start: …, …}`"
        )
        return Judgement(Verdict.INCONCLUSIVE, reason)
    again = rerun(found.drill.environment)
    drill = counted(found.drill, expected.drill.max_age, "maintenance drill", again, readings=lambda _: ())
    if isinstance(drill, Judgement):
        return drill
    seen, on, unknown = drill.record.facts, when(drill.record), ""
    if not seen.application_down or seen.status != 503 or not seen.sha256:
        unknown = (
            f"the record of the drill of {on} ({expected.drill.record}) does not show that the page answered 503 with "
            f"the application down; {again}"
        )
    elif page.status is None:
        unknown = (
            f"{expected.url} could not be read ({page.problem or 'no reason was recorded'}), so whether it is the page of "
            f"the drill of {on} is unknown: check that it is up"
        )
    elif seen.sha256 != page.sha256:
        unknown = f"{expected.url} has changed since the drill of {on}; {again}"
    if unknown:
        return Judgement(Verdict.INCONCLUSIVE, unknown, drill.readings)
    done = "just now" if found.drill.ran_now else f"on {on}"
    return Judgement(
        Verdict.PASS, f"{expected.url} was served with the application down {done}", drill.readings
    )


def _readings(page: Page, expected: Maintenance) -> Iterator[Reading]:
    yield Reading("status", page.status, limit="503", ok=page.status == 503)
    if page.redirected_to:
        yield Reading("redirect", page.redirected_to, limit="none", ok=False)
    yield Reading("Retry-After", page.retry_after, limit="seconds or a date", ok=_waits(page))
    yield Reading(
        "size",
        page.size_bytes,
        "B",
        f"at most {words_for_bytes(expected.max_size)}",
        ok=0 < page.size_bytes <= expected.max_size,
    )
    kind = _kind(page)
    if kind not in ("", *_FOR_PEOPLE):
        yield Reading("content type", kind, limit="text/html", ok=False)
    if page.kept_s > _KEPT_S:
        yield Reading("kept by caches", page.kept_s, "s", f"at most {_KEPT_S} s", ok=False)
    yield Reading("external resources", len(page.outside), limit="0", ok=not page.outside)
