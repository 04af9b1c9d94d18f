"""Cause values that nothing else shows, and wait until a page shows each; never sees a limit."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.live_values.facts import Change, Watched
from pytest_deploygate.checks.live_values.section import LiveValue
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.http import form_login
from pytest_deploygate.clients.http.sent_reading import Send, sender
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell

if TYPE_CHECKING:
    from pytest_deploygate.clients.browser.visit import Visit

__all__ = ["watched"]

#: While a page connects, values that are sent are lost for it: so many are sent until the first one is shown.
_FIRST = 4
_PAUSE_S = 0.2
_LOGIN_S = 10.0
_MOST_FAILED = 5
#: The first number in the element's text is the one that was sent.
_SHOWS = """([selector, wanted]) => {
  const found = /[-+−]?\\d+(?:[.,]\\d+)?/.exec(document.querySelector(selector)?.innerText ?? '');
  return found !== null && Math.abs(parseFloat(found[0].replace('−', '-').replace(',', '.')) - wanted) < 1e-9;
}"""
_TEXT = "selector => document.querySelector(selector)?.innerText ?? null"


def watched(
    live: LiveValue,
    browser: Browser,
    cluster: Cluster | None,
    environment: str,
    budget: Budget,
    *,
    allowed: bool,
) -> Watched:
    """Open the page, send values one by one, and note when the element shows each.

    Raises CannotTell if nothing may be sent here, nobody can log in, or there is no browser.
    """
    if not (allowed or live.opt_in == environment):
        raise CannotTell(
            f"no reading was sent to see {live.name} change: set `opt_in: {environment}` in `live_values` once the device in "
            f"`send` is a synthetic one, or use --allow-disruptive={environment}"
        )
    with budget.probe("live values", unwatched="it sends no more readings than a device does") as spending:
        send = sender(live.send, spending)
        with browser.visit(headers=spending.headers) as visit:
            if live.form is not None:
                session = form_login.cookies(live.form, live.send, _LOGIN_S)
                visit.context.add_cookies(form_login.for_browser(session, live.page))
            opened = visit.open(live.page)
            before = visit.page.evaluate(_TEXT, live.element) if opened.status is not None else None
            if before is None:
                pictures = (visit.picture(live.name),)
                return Watched(
                    live.name,
                    opened.url,
                    opened.status,
                    missing=True,
                    failed=_failed(visit),
                    pictures=tuple(p for p in pictures if p),
                )
            changes = tuple(_changes(live, visit, send, cluster))
            picture = visit.picture(f"{live.name}: {live.element} on the page")
            return Watched(
                live.name,
                opened.url,
                opened.status,
                before=before.strip()[:80],
                changes=changes,
                failed=_failed(visit),
                pictures=(picture,) if picture else (),
            )


def _changes(live: LiveValue, visit: Visit, send: Send, cluster: Cluster | None) -> Iterator[Change]:
    """Yield what became of each value, those that were sent until the page was connected among them."""
    values = _values(live)
    for _ in range(_FIRST):
        change = _change(live, visit, send, cluster, next(values), first=True)
        yield change
        if change.shown_after_s is not None or not change.sent.taken:
            break
    else:
        return  # nothing reaches the page
    for _ in range(live.changes):
        time.sleep(_PAUSE_S)
        yield _change(live, visit, send, cluster, next(values))


def _values(live: LiveValue) -> Iterator[float]:
    """Yield values of which no two are the same."""
    step = 10**live.decimals
    known: set[int] = set()
    while True:
        number = random.randint(round(live.low * step), round(live.high * step))  # noqa: S311 (no secret)
        # Without zeros at the end, which pages leave out or not.
        if number % 10 and number not in known:
            known.add(number)
            yield number / step


def _change(
    live: LiveValue, visit: Visit, send: Send, cluster: Cluster | None, value: float, *, first: bool = False
) -> Change:
    from playwright.sync_api import TimeoutError as Late  # noqa: PLC0415 (heavy)

    timeout_s = live.timeout.total_seconds() / (_FIRST if first else 1)
    began = time.monotonic()
    with own_lag.watching() as lag:
        sent = send(value)
        if not sent.taken:
            return Change(sent, None, 0.0, first=first)
        shown_after_s = None
        try:
            visit.page.wait_for_function(
                _SHOWS, arg=[live.element, value], timeout=timeout_s * 1000, polling=20
            )
            shown_after_s = round(time.monotonic() - began, 3)
        except Late:
            pass
        late = lag.since(began)
    waited_s = round(time.monotonic() - began, 3)
    if shown_after_s is not None:
        return Change(sent, shown_after_s, waited_s, first=first, lag=late)
    instead = (visit.page.evaluate(_TEXT, live.element) or "").strip()[:80]
    return Change(sent, None, waited_s, instead, first, _stored(live, cluster, sent.id), late)


def _stored(live: LiveValue, cluster: Cluster | None, reading: str) -> bool | None:
    if live.stored is None or cluster is None:
        return None
    try:
        # A row may have no columns (SELECT FROM …), which a driver tells apart from no row only here.
        query = f"SELECT EXISTS ({live.stored.sql.strip().rstrip(';')}\n)"
        return bool(cluster.value(cluster.primary, query, {"id": reading}))
    except CannotTell:
        return None


def _failed(visit: Visit) -> tuple[str, ...]:
    """Return what went wrong on the page, in words."""
    seen = visit.seen()
    requests = [f"{r.method} {r.url}: {r.status if r.status is not None else r.problem}" for r in seen.failed]
    return tuple([*requests, *(f"{error.kind}: {error.text}" for error in seen.errors)][:_MOST_FAILED])
