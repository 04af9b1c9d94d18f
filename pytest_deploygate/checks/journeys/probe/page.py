"""What stands on a page, as a person sees it, and waiting for it with a bound."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from pytest_deploygate.checks.journeys.facts import Page
from pytest_deploygate.clients.browser.visit import Visit
from pytest_deploygate.redaction import shortened

#: How often a page is looked at while something is waited for.
_POLL_S = 0.05
#: Requests of a page that are over tell more than those that go on; it is quiet when none began for this long.
_QUIET_S, _MOST_QUIET_S = 0.06, 2.0
_MOST_TEXT = 160
_LOOK = """() => document.body ? {title: document.title, text: document.body.innerText,
  heading: (document.querySelector('h1, [role=alert]') || {}).innerText || '',
  alert: (document.querySelector('[role=alert]') || {}).innerText || ''} : false"""


class Late(AssertionError):  # noqa: N818 (it says what happened)
    """Something did not come while the page still worked. It is the page's failure, unless this machine was too busy."""


def lacks(visit: Visit, words: str) -> AssertionError:
    """Return the error for what a page lacks. One that is ready and quiet will never have it, however slow this machine is."""
    ended = visit.page.url.startswith("chrome-error:") or (visit.status() or 0) >= 400
    return AssertionError(words) if ended or not visit.busy else Late(words)


def look(visit: Visit, wait_s: float = 1.0) -> Page:
    """Return what stands on the page; without its text where it does not say so in time."""
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    page = visit.page
    status = visit.status()
    try:
        found: dict[str, Any] = page.wait_for_function(_LOOK, timeout=wait_s * 1000).json_value()
    except Error:
        return Page(page.url, status=status)
    heading = found["alert"] or found["heading"]
    return Page(page.url, found["title"], _short(heading), found["text"] + _of_frames(page), status)


def shown(page: Page) -> str:
    """Say what was seen instead: the page's heading or its first words, and its status if that is an error."""
    if page.url.startswith("chrome-error:"):
        return "the browser shows an error page of its own"
    words = page.heading or _short(page.text)
    status = f", status {page.status}" if page.status is not None and page.status >= 400 else ""
    return f"the page shows {words!r}{status}" if words else f"the page is empty{status}"


def wait_for(visit: Visit, sees: Sequence[str], lacking: Sequence[str], wait_s: float) -> Page:
    """Wait until all wanted texts are on the page, none of the unwanted ones, and its requests are over.

    Returns the page as it then was; it lacks something, or has too much, when the time is over, or at once when the page is
    an error page.
    """
    until = time.monotonic() + wait_s
    while True:
        found = look(visit, max(0.1, min(1.0, until - time.monotonic())))
        good = not missing(found, sees) and not unwanted(found, lacking)
        if good:
            settle(visit)
            found = look(visit)
            good = not missing(found, sees) and not unwanted(found, lacking)
        ended = found.url.startswith("chrome-error:") or (found.status or 0) >= 400
        if good or time.monotonic() >= until or (ended and not visit.pending):
            return found
        visit.page.wait_for_timeout(_POLL_S * 1000)


def settle(visit: Visit) -> None:
    """Wait until the page's requests are over, at most two seconds."""
    until = time.monotonic() + _MOST_QUIET_S
    while time.monotonic() < until:
        visit.page.wait_for_timeout(_QUIET_S * 1000)
        if not visit.pending and visit.quiet_s >= _QUIET_S:
            return


def missing(page: Page, texts: Sequence[str]) -> list[str]:
    """Return the texts that are not on a page."""
    return [text for text in texts if not page.has(text)]


def unwanted(page: Page, texts: Sequence[str]) -> list[str]:
    """Return the texts that are on a page."""
    return [text for text in texts if page.has(text)]


def _of_frames(page: Any) -> str:
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    texts = []
    for frame in page.frames[1:]:
        try:
            texts.append(str(frame.wait_for_function(_LOOK, timeout=300).json_value()["text"]))
        except Error:
            continue  # a frame that goes away, or of which nothing is shown
    return "".join(f"\n{text}" for text in texts)


def _short(text: str) -> str:
    return shortened(re.sub(r"\s+", " ", text).strip(), _MOST_TEXT)
