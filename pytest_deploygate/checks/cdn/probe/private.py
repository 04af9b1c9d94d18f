"""Pages with a login: fetched by their owner first, then by another user and by nobody, at an address of our own."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit, urlunsplit

from pytest_deploygate.checks.cdn import facts
from pytest_deploygate.checks.cdn.probe.fetching import Fetcher, fetching
from pytest_deploygate.checks.cdn.section import BUSTER, Cdn, Private
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.http import HttpLogin

#: Several caches share the requests: so often each of them is asked, by its owner and by others.
_BY_OWNER, _BY_OTHERS = 3, 4


def busted(url: str) -> str:
    """Return an address that no user has: with a random text in its place, or as a parameter."""
    text = secrets.token_hex(12)
    if BUSTER in url:
        return url.replace(BUSTER, text)
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}deploygate={text}"))


def private(cdn: Cdn, budget: Budget) -> facts.Pages:
    """Fetch each private page as its owner and as others; what got no answer is a value."""
    with fetching(cdn, budget, "private pages") as fetcher:
        return facts.Pages(tuple(_shared(fetcher, page) for page in cdn.private))


def logged_in(login: HttpLogin) -> dict[str, str]:
    """Return the headers of a login."""
    return sending.login_headers(login)


def owns(page: Private, content: bytes | None) -> bool:
    """Tell whether a content has all texts that only the owner may see; false if the inventory names none."""
    return bool(page.shows) and content is not None and all(text.encode() in content for text in page.shows)


def _shared(fetcher: Fetcher, page: Private) -> facts.Shared:
    url = busted(page.url)
    login = logged_in(page.a)
    own = [fetcher.content(url, login) for _ in range(_BY_OWNER)]
    fetcher.asker.calm()
    owner = next((fetch for fetch, _ in own if fetch.hit), own[0][0])
    digests = {fetch.sha256 for fetch, _ in own if fetch.sha256 and fetch.status == 200}

    def same(fetch: facts.Fetch, content: bytes | None) -> bool:
        return fetch.status == 200 and (owns(page, content) if page.shows else fetch.sha256 in digests)

    # At addresses that the owner never fetched: what is the same there was not private.
    public = any(same(*fetcher.content(busted(page.url), sent)) for sent in ({}, logged_in(page.b)))
    readers = []
    for who, sent in (("the second account", logged_in(page.b)), ("a client without a login", {})):
        answers = [fetcher.content(url, sent) for _ in range(_BY_OTHERS)]
        worst = next((one for one in answers if same(*one)), answers[0])
        fetch = worst[0]
        readers.append(facts.Reader(who, fetch.status, fetch.hit, same(*worst), fetch.problem))
    kind = "cookie" if (page.a.header or "").lower() == "cookie" else "header"
    problem_free = own[0][0]
    if page.shows and problem_free.status == 200 and not any(owns(page, content) for _, content in own):
        owner = facts.Fetch(
            problem="its answer to the first account lacks the texts of `shows`: is it logged in?"
        )
    return facts.Shared(page.name, owner, tuple(readers), kind, public)
