"""Raise an alert with readings over a limit, and let it clear; never sees a bound."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import requests

from pytest_deploygate.checks.platform_alerts.facts import Alert, Episode, OnPage
from pytest_deploygate.checks.platform_alerts.section import ALERT, AlertList, AlertPage, PlatformAlerts
from pytest_deploygate.clients import own_lag, stopping
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.http import form_login, oauth, sending
from pytest_deploygate.clients.http.sent_reading import Send, sender
from pytest_deploygate.judging.sent_reading import Sent
from pytest_deploygate.model import CannotTell

if TYPE_CHECKING:
    from pytest_deploygate.clients.browser.visit import Visit

__all__ = ["raised", "shown"]

_EVERY_S = 0.1
_ANSWER_S = 10.0
_MOST_FAILED = 5
_TEXT = "selector => document.querySelector(selector)?.innerText ?? null"

List = Callable[[], tuple[Alert, ...]]


class _Unread(Exception):  # noqa: N818 (it is an answer, not an error)
    """The list of alerts could not be read; the text says why."""


def raised(section: PlatformAlerts, environment: str, budget: Budget, *, allowed: bool) -> Episode:
    """Cause the alert and follow it in the list. Raises CannotTell if that is not allowed, or nobody can log in."""
    _may(section, environment, allowed=allowed)
    with _spending(budget) as spending:
        return _episode(section, spending, None)


def shown(
    section: PlatformAlerts,
    page: AlertPage,
    browser: Browser,
    environment: str,
    budget: Budget,
    *,
    allowed: bool,
) -> Episode:
    """Cause the alert and follow it in the list and on the page. Raises CannotTell as `raised`, and without a browser."""
    _may(section, environment, allowed=allowed)
    with _spending(budget) as spending, browser.visit(headers=spending.headers) as visit:
        if page.form is not None:
            session = form_login.cookies(page.form, section.alerts, _ANSWER_S)
            visit.context.add_cookies(form_login.for_browser(session, page.url))
        opened = visit.open(page.url)
        watch = _Page(page, visit, opened.status)
        return watch.added(_episode(section, spending, watch))


def _may(section: PlatformAlerts, environment: str, *, allowed: bool) -> None:
    if not (allowed or section.opt_in == environment):
        raise CannotTell(
            f"no alert was caused: set `platform_alerts.opt_in: {environment}` once {section.device} is a synthetic device whose "
            f"alert calls nobody, or use --allow-disruptive={environment}"
        )


@contextmanager
def _spending(budget: Budget) -> Iterator[Spending]:
    with budget.probe("alert", unwatched="it sends a few readings, as a device does") as spending:
        yield spending


class _Page:
    """Looks whether the page shows the alert."""

    def __init__(self, page: AlertPage, visit: Visit, status: int | None) -> None:
        self._page, self._visit = page, visit
        self.found = OnPage(status)
        self._pictures: list[Any] = []

    def look(self, alerts: tuple[Alert, ...], began: float, *, firing: bool) -> bool:
        """Note when the alerts are shown as firing, or not any more; return whether that is so."""
        if (self.found.shown_after_s if firing else self.found.gone_after_s) is not None:
            return True
        texts = [self._text(alert) for alert in alerts]
        fires = [text is not None and self._page.firing in text for text in texts]
        if firing:
            self.found = replace(self.found, shown=" ".join((texts[0] or "").split())[:120] if texts else "")
        if not texts or (not all(fires) if firing else any(fires)):
            return False
        after_s = round(time.monotonic() - began, 3)
        if firing:
            self.found = replace(self.found, shown_after_s=after_s)
        else:
            self.found = replace(self.found, gone_after_s=after_s)
        return True

    def picture(self, title: str) -> None:
        """Take a picture of the page."""
        self._pictures.append(self._visit.picture(title))

    def wait(self, seconds: float) -> None:
        """Wait while the page goes on."""
        self._visit.page.wait_for_timeout(seconds * 1000)

    def added(self, episode: Episode) -> Episode:
        """Return the episode with what the page showed."""
        seen = self._visit.seen()
        failed = [
            f"{r.method} {r.url}: {r.status if r.status is not None else r.problem}" for r in seen.failed
        ]
        failed += [f"{error.kind}: {error.text}" for error in seen.errors]
        pictures = tuple(picture for picture in self._pictures if picture is not None)
        return replace(
            episode, page=replace(self.found, failed=tuple(failed[:_MOST_FAILED])), pictures=pictures
        )

    def _text(self, alert: Alert) -> str | None:
        # An id is no selector: quotes in it would end the attribute.
        selector = self._page.element.replace(
            ALERT, alert.id.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
        )
        found: str | None = self._visit.page.evaluate(_TEXT, selector)
        return found


def _episode(section: PlatformAlerts, spending: Spending, page: _Page | None) -> Episode:
    send = sender(section.send, spending)
    read = _reader(section.alerts, spending)
    try:
        before = read()
    except _Unread as unread:
        raise CannotTell(f"the list of alerts, {section.alerts.url}, {unread}") from None
    if left := _leftover(section, send, read, before):
        return Episode(section.device, left=left)
    known = {alert.id for alert in before}
    episode = Episode(section.device)
    try:
        episode = _raise(section, send, read, known, page)
    finally:
        with stopping.shielded():
            # Whatever happened: the device's last reading is a normal one, and its alert clears.
            began = time.monotonic()
            normal = send(section.normal)
    return _clear(section, replace(episode, normal=normal), read, page, began)


def _leftover(section: PlatformAlerts, send: Send, read: List, before: tuple[Alert, ...]) -> tuple[str, ...]:
    """Let an alert clear that an earlier run left, and return the ids of those that do not."""
    left = [a.id for a in before if a.device == section.device and a.firing]
    if not left:
        return ()
    send(section.normal)
    until = time.monotonic() + section.timeout.total_seconds()
    while left and time.monotonic() < until:
        time.sleep(_EVERY_S)
        try:
            left = [a.id for a in read() if a.id in left and a.firing]
        except _Unread:
            continue
    return tuple(left)


def _raise(section: PlatformAlerts, send: Send, read: List, known: set[str], page: _Page | None) -> Episode:
    """Send readings over the limit, wait for the alert, and look on for more of them."""
    began = time.monotonic()
    until = began + section.timeout.total_seconds()
    over: list[Sent] = []
    new: dict[str, Alert] = {}
    raised_after_s, problem, ends = None, "", 0.0
    with own_lag.watching() as lag:
        late = lag.since(began)
        while time.monotonic() < until:
            if len(over) < section.readings:
                over.append(send(section.over))
                if not over[-1].taken:
                    break
            try:
                for alert in read():
                    if alert.id not in known:
                        new[alert.id] = alert
                problem = ""
            except _Unread as unread:
                problem = str(unread)
            mine = _of(new, section.device)
            if mine and raised_after_s is None:
                raised_after_s = round(time.monotonic() - began, 3)
                ends, late = time.monotonic() + section.look_on.total_seconds(), lag.since(began)
            there = raised_after_s is not None
            if page is not None and mine:
                there = page.look(mine, began, firing=True) and there
            if there and len(over) == section.readings and time.monotonic() >= ends:
                break
            _wait(page)
        if page is not None:
            page.picture(f"alert of {section.device}: while it fires")
            late = lag.since(began)
    mine = _of(new, section.device)
    others = tuple(alert for alert in new.values() if alert not in mine)
    return Episode(
        section.device,
        over=tuple(over),
        raised=mine,
        raised_after_s=raised_after_s,
        others=others,
        problem=problem,
        lag=late,
    )


def _clear(
    section: PlatformAlerts, episode: Episode, read: List, page: _Page | None, began: float
) -> Episode:
    """Wait until the alerts that were raised have cleared, in the list and on the page."""
    if episode.normal is None or not episode.normal.taken or not episode.raised:
        return episode
    ids = {alert.id for alert in episode.raised}
    until = began + section.timeout.total_seconds()
    cleared_after_s, problem = None, episode.problem
    with own_lag.watching() as lag:
        while time.monotonic() < until:
            try:
                if cleared_after_s is None and not any(a.firing for a in read() if a.id in ids):
                    cleared_after_s = round(time.monotonic() - began, 3)
                problem = ""
            except _Unread as unread:
                problem = str(unread)
            gone = page is None or page.look(episode.raised, began, firing=False)
            if cleared_after_s is not None and gone:
                break
            _wait(page)
        late = lag.since(began)
    return replace(episode, cleared_after_s=cleared_after_s, problem=problem, clear_lag=late)


def _wait(page: _Page | None) -> None:
    if page is None:
        time.sleep(_EVERY_S)
    else:
        page.wait(_EVERY_S)


def _of(alerts: Mapping[str, Alert], device: str) -> tuple[Alert, ...]:
    return tuple(alert for alert in alerts.values() if alert.device == device)


def _reader(section: AlertList, spending: Spending) -> List:
    """Return a function that reads the list. It raises _Unread. Raises CannotTell if the login is refused."""
    timeout_s = section.timeout.total_seconds() if section.timeout else _ANSWER_S
    session = form_login.cookies(section.form, section, timeout_s) if section.form else {}
    access = oauth.logged_in(section, timeout_s)

    def read() -> tuple[Alert, ...]:
        try:
            with spending.request() as asked:
                answer = sending.get(
                    access,
                    section.url,
                    timeout_s,
                    afresh=True,
                    allow_redirects=False,
                    headers=dict(spending.headers),
                    cookies=form_login.revealed(session),
                )
                asked.answered(len(answer.content), wrong=answer.status_code >= 500)
        except (requests.RequestException, OSError) as error:
            raise _Unread(f"could not be read: {sending.why(error)}") from None
        if answer.status_code != 200:
            raise _Unread(f"answered {answer.status_code}")
        return _alerts(section, answer.content)

    return read


def _alerts(section: AlertList, body: bytes) -> tuple[Alert, ...]:
    try:
        found: Any = json.loads(body)
        for key in filter(None, section.items.split(".")):
            found = found[key]
        return tuple(
            Alert(
                str(_at(each, section.id)),
                str(_at(each, section.device)),
                str(_at(each, section.state)) in section.firing,
            )
            for each in found
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _Unread(
            f"is not as declared ({type(error).__name__}: {error}); check `items`, `id`, `device` and `state`"
        ) from None


def _at(alert: Any, path: str) -> Any:
    for key in path.split("."):
        alert = alert[key]
    return alert
