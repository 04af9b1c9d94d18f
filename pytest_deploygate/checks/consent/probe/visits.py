"""Three visits as three new visitors: one who has not chosen, one who refuses, one who agrees.

Requests are the evidence: a third party may set its cookie in a way that leaves nothing in the jar.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from pytest_deploygate.checks.consent.facts import Asked, OnPage, Privacy, Visited, Watched
from pytest_deploygate.checks.consent.probe.kept import set_cookies, stored
from pytest_deploygate.checks.consent.probe.sites import same_site
from pytest_deploygate.checks.consent.section import Consent
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.browser.visit import Visit
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.model import CannotTell, Picture
from pytest_deploygate.redaction import redact

_UNWATCHED = "one visitor opens a few pages, one after the other"
_SCROLLS = 8
_SCROLL_S = 0.1
_MOST_THIRD = 200
_BUTTON_S = 5.0
_PRESS_S = 10.0
#: To the next screen; it says whether the end was reached.
_SCROLL = """() => { window.scrollBy(0, window.innerHeight);
  return window.scrollY + window.innerHeight >= document.documentElement.scrollHeight - 2; }"""
_LINKS = "() => [...document.querySelectorAll('a[href]')].map(a => a.href.split('#')[0])"
BEFORE, REFUSED, AGREED = "before consent", "after refusal", "after consent"


def watched(browser: Browser, consent: Consent, budget: Budget) -> Watched:
    """Visit the pages. Raises CannotTell if there is no browser, or a page was not reached."""
    with budget.probe("consent", unwatched=_UNWATCHED) as spending:
        pictures: list[Picture] = []
        visits, privacy = [], Privacy(consent.privacy.path, None)
        plan: list[tuple[str, str | None]] = [(BEFORE, None)]
        if consent.accept is not None:
            plan += [(REFUSED, consent.refuse), (AGREED, consent.accept)]
        for when, button in plan:
            with browser.visit(headers=spending.headers) as visit:
                looking = _Looking(visit, consent, spending)
                with _explained(when, spending):
                    visits.append(looking.visited(when, button, pictures))
                    if when == BEFORE:
                        privacy = looking.privacy()
        return Watched(tuple(visits), privacy, tuple(pictures))


@contextlib.contextmanager
def _explained(when: str, spending: Spending) -> Iterator[None]:
    """Turn an error of the browser into CannotTell: a page that goes away while it is looked at, a button under another."""
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    try:
        yield
    except Error as error:
        spending.check()  # a stop ends the browser, too
        said = redact(str(error).partition("\n")[0])
        raise CannotTell(
            f"what pages do {when} could not be seen to the end: {said[:200]}; open them by hand, then run this again"
        ) from None


class _Looking:
    """One visit, and the requests and answers since the last page was left."""

    def __init__(self, visit: Visit, consent: Consent, spending: Spending) -> None:
        self._visit, self._consent, self._spending = visit, consent, spending
        self._requests: list[tuple[str, str]] = []
        self._responses: list[Any] = []
        self._host = urlsplit(visit.base).hostname or ""
        self._counted = 0
        self._links: list[str] = []
        self._text: str | None = None
        self._privacy_status: int | None = None
        context = visit.context
        context.on("request", lambda request: self._requests.append((request.url, request.resource_type)))
        context.on("response", self._on_response)
        visit.page.on("websocket", lambda socket: self._requests.append((socket.url, "websocket")))

    def _on_response(self, response: Any) -> None:
        self._responses.append(response)

    def visited(self, when: str, button: str | None, pictures: list[Picture]) -> Visited:
        """Look at all pages, after a button of the banner was pressed if one is given."""
        pages: list[OnPage] = []
        for number, page in enumerate(self._consent.pages):
            own_before = 0
            opened = self._visit.open(page)
            status = opened.status
            if number == 0:
                if missing := self._without_button(button):
                    return Visited(when, tuple(pages), missing)
                if when == BEFORE:
                    self._links = list(self._visit.page.evaluate(_LINKS))
                    if picture := self._visit.picture(f"{page} before consent"):
                        pictures.append(picture)
                if button is not None:
                    # What the page did before the choice is judged in the first visit.
                    own_before = sum(self._is_own(url) for url, _ in self._taken()[0])
                    self._press(button)
            self._scroll()
            if page == self._consent.privacy.path:
                self._text, self._privacy_status = self._shown(), status
            pages.append(self._left(page, status, own_before))
        return Visited(when, tuple(pages))

    def privacy(self) -> Privacy:
        """Return the privacy page, which is opened in the same visit unless it was among the pages."""
        wanted = self._consent.privacy
        if self._text is None:
            self._privacy_status = self._visit.open(wanted.path).status
            self._text = self._shown() if self._privacy_status is not None else ""
        text = self._text
        lacks = next((each for each in wanted.sees if each not in text), "")
        url = urljoin(f"{self._visit.base.rstrip('/')}/", wanted.path)
        links = {link.rstrip("/") for link in self._links}
        return Privacy(url, self._privacy_status, lacks, url.rstrip("/") in links)

    def _shown(self) -> str:
        return str(self._visit.page.inner_text("body"))

    def _without_button(self, pressed: str | None) -> str:
        """Return the name of a button that the banner lacks; empty if it has all, or if there is no banner."""
        wanted = [pressed] if pressed else [self._consent.accept, self._consent.refuse]
        return next((name for name in wanted if name is not None and self._button(name) is None), "")

    def _button(self, name: str) -> Any:
        """Return a visible button of that name, in any frame; None if there is none in time."""
        deadline = time.monotonic() + _BUTTON_S
        while True:
            for frame in self._visit.page.frames:
                for role in ("button", "link"):
                    for found in frame.get_by_role(role, name=name, exact=True).all():
                        if found.is_visible():
                            return found
            if time.monotonic() > deadline:
                return None
            self._visit.page.wait_for_timeout(100)

    def _press(self, name: str) -> None:
        from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

        try:
            self._button(name).click(timeout=_PRESS_S * 1000)
        except Error as error:
            self._spending.check()
            said = redact(str(error).partition("\n")[0])
            raise CannotTell(
                f"the banner's button {name!r} on {self._consent.pages[0]} could not be pressed: {said[:120]}; is something in "
                "front of it?"
            ) from None

    def _scroll(self) -> None:
        """Scroll to the end, and go on looking for a while: some scripts wait for that."""
        page = self._visit.page
        for _ in range(_SCROLLS):
            if page.evaluate(_SCROLL):
                break
            page.wait_for_timeout(_SCROLL_S * 1000)
        with stopping.interrupting():
            page.wait_for_timeout(self._consent.wait.total_seconds() * 1000)
        now = self._visit.requests
        self._spending.take(requests=max(0, now - self._counted), opens=0)
        self._counted = now
        self._spending.check()

    def _taken(self) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
        """Return the requests since the last call, and the cookies that third parties set, by address; begin anew.

        The platform's own are in the browser's jar.
        """
        requests, self._requests = self._requests, []
        responses, self._responses = self._responses, []
        cookies: dict[str, list[str]] = {}
        for response in responses:
            if self._is_own(response.url):
                continue
            for name in set_cookies(response):
                cookies.setdefault(response.url, []).append(name)
        return requests, cookies

    def _left(self, page: str, status: int | None, own_before: int) -> OnPage:
        """Return what a page did, before it is left."""
        requests, cookies = self._taken()
        url = self._visit.page.url
        jar = [(str(each["name"]), str(each["domain"])) for each in self._visit.context.cookies()]
        return OnPage(
            page=page,
            status=status,
            own=own_before + sum(self._is_own(url) for url, _ in requests),
            third_parties=tuple(self._third_parties(requests, cookies)),
            cookies=tuple(dict.fromkeys(_bare(jar))),
            storage=stored(self._visit.page),
            site=self._is_own(url),
            said=redact(self._visit.last_problem),
        )

    def _third_parties(
        self, requests: list[tuple[str, str]], cookies: dict[str, list[str]]
    ) -> Iterator[Asked]:
        seen: set[str] = set()
        for url, kind in requests:
            parts = urlsplit(url)
            if not parts.hostname or parts.scheme not in ("http", "https", "ws", "wss") or self._is_own(url):
                continue
            shown = redact(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
            if shown not in seen and len(seen) < _MOST_THIRD:
                seen.add(shown)
                yield Asked(parts.hostname, shown, kind, tuple(dict.fromkeys(cookies.get(url, []))))

    def _is_own(self, url: str) -> bool:
        return same_site((urlsplit(url).hostname or "").lower(), self._host.lower())


def _bare(jar: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield cookies with their domains as hosts are written."""
    yield from ((name, domain.lstrip(".").lower()) for name, domain in jar)
