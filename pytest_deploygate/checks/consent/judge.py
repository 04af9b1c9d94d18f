"""Judge what pages keep and whom they ask before a visitor has chosen, after a refusal, and after consent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_deploygate.checks.consent.facts import Asked, OnPage, Visited, Watched
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.consent.section import Consent, Kept

__all__ = ["judge"]

_AGREED = "after consent"
_NAMED = 3


def judge(found: Watched, expected: Consent) -> Judgement:
    """Pass when nothing undeclared is kept or asked at any time, and the privacy page is reachable."""
    # A request that was made, or a cookie that is there, needs no second look.
    collector = Collector(most=6, confirmed=True)
    for visit in found.visits:
        _of_visit(visit, expected, collector)
    _of_privacy(found, expected, collector)
    _of_control(found, expected, collector)
    if expected.accept is None:
        collector.note(
            "the inventory names no banner (`accept`, `refuse`), so only pages without a choice were looked at"
        )
    judgement = collector.judgement(
        lambda: (
            f"{', '.join(expected.pages)}: {' and '.join(visit.when for visit in found.visits)} nothing is kept, and no third "
            f"party asked, but what is declared; {found.privacy.url} is linked and shows what it must"
        )
    )
    return replace(judgement, figures=found.pictures)


def _of_visit(visit: Visited, expected: Consent, collector: Collector) -> None:
    if visit.no_button:
        collector.unknown(
            f"the banner's button {visit.no_button!r} was not found on {expected.pages[0]}, so what happens {visit.when} is "
            "unknown: correct `accept` and `refuse`"
        )
    allowed: list[Kept] = [expected.necessary]
    if visit.when == _AGREED:
        allowed.append(expected.consented)
    pages = [page for page in visit.pages if _was_seen(page, visit.when, collector)]
    undeclared: dict[str, list[str]] = defaultdict(list)
    for page in pages:
        for words in _undeclared(page, allowed):
            undeclared[words].append(page.page)
    for words, pages_with_it in undeclared.items():
        where = list(dict.fromkeys(pages_with_it))
        collector.wrong(f"{visit.when} {words} ({', '.join(where[:_NAMED])}): {_step(visit.when)}")
    if pages:
        collector.read(
            Reading(
                f"undeclared {visit.when}",
                len(undeclared),
                limit="0",
                ok=not undeclared,
            ),
            Reading(f"requests to the platform {visit.when}", sum(page.own for page in pages)),
        )


def _step(when: str) -> str:
    if when == _AGREED:
        return "declare it under `consented`, or remove it"
    return "let it wait for consent, or declare it under `necessary` if it is"


def _was_seen(page: OnPage, when: str, collector: Collector) -> bool:
    """Tell whether a page was the one that was meant."""
    if page.status is None:
        collector.unknown(f"{page.page} was not loaded {when}{f' ({page.said})' if page.said else ''}")
    elif page.status >= 400:
        collector.unknown(f"{page.page} answered {page.status} {when}: correct `pages`")
    elif not page.site:
        collector.unknown(f"{page.page} led to another site {when}: name the page where visitors end")
    elif not page.own:
        collector.unknown(f"{page.page} made no request to the platform {when}, so nothing was seen of it")
    else:
        return True
    return False


def _undeclared(page: OnPage, allowed: Iterable[Kept]) -> Iterator[str]:
    """Yield what a page kept or asked that is not declared."""
    kept = list(allowed)
    hosts: dict[str, list[Asked]] = defaultdict(list)
    for asked in page.third_parties:
        if not any(_matches(asked.host, pattern) for each in kept for pattern in each.hosts):
            hosts[asked.host].append(asked)
    for host, requests in hosts.items():
        first = requests[0]
        cookies = sorted({name for each in requests for name in each.cookies})
        more = f", and {len(requests) - 1} more" if len(requests) > 1 else ""
        sets = f", which sets the cookie {', '.join(cookies)}" if cookies else ""
        yield f"the third party {host} is asked: {first.kind} {first.url}{more}{sets}"
    for name, domain in page.cookies:
        if domain in hosts:
            continue  # said with its request
        if not any(fnmatchcase(name, pattern) for each in kept for pattern in each.cookies):
            yield f"the cookie {name} of {domain} is set"
    for kind, name in page.storage:
        if not any(fnmatchcase(name, pattern) for each in kept for pattern in each.storage):
            yield f"{name} is kept ({kind})"


def _matches(host: str, pattern: str) -> bool:
    return fnmatchcase(host, pattern) or (pattern.startswith("*.") and host == pattern[2:])


def _of_privacy(found: Watched, expected: Consent, collector: Collector) -> None:
    page = found.privacy
    status = "no answer" if page.status is None else page.status
    collector.read(
        Reading("privacy page", status, limit="200", ok=None if page.status is None else page.status == 200)
    )
    if page.status is None:
        collector.unknown(f"the privacy page {page.url} was not loaded")
    elif page.status != 200:
        collector.wrong(
            f"the privacy page {page.url} answers {page.status}: visitors cannot read what is kept of them"
        )
    elif page.lacks:
        collector.wrong(f"the privacy page {page.url} does not show {page.lacks!r}")
    if not page.linked and any(page for visit in found.visits for page in visit.pages):
        collector.wrong(
            f"{expected.pages[0]} has no link to the privacy page {page.url}: visitors do not find it"
        )


def _of_control(found: Watched, expected: Consent, collector: Collector) -> None:
    """What is kept after consent must be seen: else that nothing was seen before proves nothing."""
    for visit in found.visits:
        if visit.when != _AGREED or not visit.pages:
            continue
        wanted = expected.consented
        seen = {
            *(name for page in visit.pages for name, _ in page.cookies if _any(name, wanted.cookies)),
            *(name for page in visit.pages for _, name in page.storage if _any(name, wanted.storage)),
            *(
                asked.host
                for page in visit.pages
                for asked in page.third_parties
                if any(_matches(asked.host, pattern) for pattern in wanted.hosts)
            ),
        }
        declared = (*wanted.cookies, *wanted.storage, *wanted.hosts)
        unseen = [each for each in declared if not any(_matches(name, each) for name in seen)]
        collector.read(
            Reading("declared and seen after consent", len(declared) - len(unseen), limit="at least 1",
                    ok=True if len(unseen) < len(declared) else None)
        )  # fmt: skip
        if len(unseen) == len(declared):
            collector.unknown(
                f"after consent nothing of what is declared was seen ({', '.join(declared[:_NAMED])}), so that nothing was seen "
                "before proves nothing: correct `consented`, or `accept` does nothing"
            )
        elif unseen:
            collector.note(f"declared under `consented` and not seen: {', '.join(unseen)}")


def _any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
