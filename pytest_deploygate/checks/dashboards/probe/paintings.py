"""Open a dashboard several times, and wait each time until all is there that is expected; never sees a limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_deploygate.checks.dashboards.facts import Answer, Element, Opened, Painting, Value
from pytest_deploygate.checks.dashboards.probe import points
from pytest_deploygate.checks.dashboards.probe.colours import colours
from pytest_deploygate.checks.dashboards.section import Dashboard
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import form_login
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.judging.browsing import rated
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

if TYPE_CHECKING:
    from pytest_deploygate.clients.browser.visit import Visit

_EVERY_MS = 50
_AT_REST_S = 3.0
#: Connections that stay open while a page is.
_OPEN_ALWAYS = ("websocket", "eventsource")
_LOGIN_S = 10.0
_MOST_ANSWERS = 200
_MOST_FAILED = 5
_TEXT_MOST = 200
#: The visible text of each element, null where there is none, and which unwanted texts can be seen.
_SEEN = """([selectors, unwanted]) => {
  const text = document.body?.innerText ?? '';
  const visible = e => e && e.getClientRects().length > 0;
  return [selectors.map(s => { const e = document.querySelector(s); return visible(e) ? e.innerText ?? '' : null; }),
          unwanted.filter(one => text.includes(one))];
}"""


def opened(dashboard: Dashboard, browser: Browser, cluster: Cluster | None) -> Opened:
    """Return what each visit showed. Raises CannotTell if nobody can log in, or there is no browser."""
    cookies: list[Any] = []
    if dashboard.form is not None:
        session = form_login.cookies(dashboard.form, HttpAccess(ca_file=dashboard.ca_file), _LOGIN_S)
        cookies = form_login.for_browser(session, dashboard.url)
    visits = []
    for number in range(dashboard.visits):
        with browser.visit(headers={"User-Agent": AGENT}) as visit:
            if cookies:
                visit.context.add_cookies(cookies)
            _with_token(dashboard, visit)
            visits.append(_painting(dashboard, visit, cluster, last=number == dashboard.visits - 1))
    return Opened(dashboard.name, dashboard.url, tuple(visits))


def _with_token(dashboard: Dashboard, visit: Visit) -> None:
    """Send the token with each request to the page's own server, and to no other."""
    if dashboard.token is None:
        return
    from urllib.parse import urlsplit  # noqa: PLC0415 (with a token only)

    server, said = urlsplit(dashboard.url), f"Bearer {dashboard.token.reveal()}"

    def go_on(route: Any) -> None:
        route.continue_(headers={**route.request.headers, "authorization": said})

    visit.context.route(f"{server.scheme}://{server.netloc}/**", go_on)


@dataclass(frozen=True)
class _Now:
    """What can be seen at a moment."""

    data: tuple[tuple[Answer, ...], ...]
    shows: tuple[Element, ...]
    charts: tuple[str | None, ...]
    unwanted: tuple[str, ...]

    @property
    def there(self) -> bool:
        """Whether everything is there, right or wrong: data with points, elements, no unwanted text."""
        return (
            all(any(answer.points for answer in answers) for answers in self.data)
            and all(element.text for element in self.shows)
            and None not in self.charts
            and not self.unwanted
        )


def _painting(dashboard: Dashboard, visit: Visit, cluster: Cluster | None, *, last: bool) -> Painting:
    got: list[Any] = []
    visit.page.on("response", lambda answer: got.append(answer))  # noqa: PLW0108 (Playwright asks for its code)
    before = _values(dashboard, cluster)
    began = time.monotonic()
    with own_lag.watching() as lag:
        page = visit.open(dashboard.url, until="domcontentloaded")
        now, took_s = _until_there(dashboard, visit, got, began, page.status)
        late = lag.since(began)
    at_s = time.time()
    after = _values(dashboard, cluster)
    charts = tuple(
        Element(selector, text, colours(visit, selector) if text is not None else None)
        for selector, text in zip(dashboard.charts, now.charts, strict=True)
    )
    visit.note_page()
    seen = visit.seen()
    failed = [f"{r.method} {r.url}: {r.status if r.status is not None else r.problem}" for r in seen.failed]
    failed += [f"{error.kind}: {error.text}" for error in seen.errors]
    landed = visit.page.url
    return Painting(
        page.status,
        took_s,
        at_s,
        now.data,
        now.shows,
        charts,
        tuple(_both(b, a) for b, a in zip(before, after, strict=True)),
        now.unwanted,
        tuple(failed[:_MOST_FAILED]),
        landed="" if landed.partition("?")[0] == dashboard.url.partition("?")[0] else landed,
        vitals=rated(seen.pages[-1].vitals) if seen.pages else "",
        lag=late,
        # One picture for each dashboard is enough; the first visit that lacks something is worth one, too.
        picture=visit.picture(f"{dashboard.name}, as it was seen", keep=True)
        if last or took_s is None
        else None,
    )


def _until_there(
    dashboard: Dashboard, visit: Visit, got: list[Any], began: float, status: int | None
) -> tuple[_Now, float | None]:
    """Look until all is there, or the time is over; return what was seen last, and after how long all was there.

    A page that has had no request open for a while, and has not changed, has come to rest: nothing more comes.
    """
    until = began + dashboard.timeout.total_seconds()
    read: dict[int, tuple[int, Answer]] = {}
    now, since = _look(dashboard, visit, got, read), time.monotonic()
    while not now.there and time.monotonic() < until and status is not None and status < 400:
        visit.page.wait_for_timeout(_EVERY_MS)
        before, now = now, _look(dashboard, visit, got, read)
        if now != before or _waits(visit):
            since = time.monotonic()
        elif time.monotonic() - since > _AT_REST_S:
            break
    return now, round(time.monotonic() - began, 3) if now.there else None


def _waits(visit: Visit) -> bool:
    """Tell whether the page waits for an answer."""
    return any(
        request.status is None and not request.problem and request.kind not in _OPEN_ALWAYS
        for request in visit.seen().requests
    )


def _look(dashboard: Dashboard, visit: Visit, got: list[Any], read: dict[int, tuple[int, Answer]]) -> _Now:
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    selectors = [shown.element for shown in dashboard.shows]
    try:
        texts, unwanted = visit.page.evaluate(_SEEN, [[*selectors, *dashboard.charts], dashboard.lacks])
    except Error as error:
        if "not a valid selector" in str(error):
            raise CannotTell(
                f"{dashboard.name}: {str(error).partition(chr(10))[0][:200]}; correct `element` or `charts`"
            ) from None
        texts, unwanted = [None] * (len(selectors) + len(dashboard.charts)), []  # the page goes elsewhere
    for number, answer in enumerate(got[:_MOST_ANSWERS]):
        if number not in read and (found := _answer(dashboard, answer)) is not None:
            read[number] = found
    data = tuple(
        tuple(answer for at, answer in read.values() if at == place) for place in range(len(dashboard.data))
    )
    shows = tuple(
        Element(selector, None if text is None else " ".join(text.split())[:_TEXT_MOST])
        for selector, text in zip(selectors, texts, strict=False)
    )
    return _Now(data, shows, tuple(texts[len(selectors) :]), tuple(unwanted))


def _answer(dashboard: Dashboard, answer: Any) -> tuple[int, Answer] | None:
    """Return which request of the section an answer belongs to, and what it has; None if to none."""
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    for place, request in enumerate(dashboard.data):
        if request.url in answer.url and answer.request.resource_type in ("fetch", "xhr"):
            try:
                body = answer.body() if 200 <= answer.status < 300 else b""
            except Error as error:
                return place, Answer(
                    answer.url, answer.status, problem=f"was not read: {str(error).partition(chr(10))[0]}"
                )
            return place, points.read(request, answer.url, answer.status, body)
    return None


def _values(dashboard: Dashboard, cluster: Cluster | None) -> Sequence[Value | None]:
    return [_value(shown.query.sql, cluster) if shown.query else None for shown in dashboard.shows]


def _value(sql: str, cluster: Cluster | None) -> Value:
    if cluster is None:
        return Value(problem="the inventory has no `database` to ask")
    try:
        found = cluster.value(cluster.primary, sql)
        return Value(None if found is None else float(found))
    except CannotTell as unknown:
        return Value(problem=str(unknown))
    except (TypeError, ValueError):
        return Value(problem="it returns no number")


def _both(before: Value | None, after: Value | None) -> Value | None:
    if before is None or after is None:
        return None
    return Value(before.before, after.before, before.problem or after.problem)
