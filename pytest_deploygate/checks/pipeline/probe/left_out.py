"""Where synthetic devices must not be seen: pages, numbers that count events, and queries such as those of aggregates."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import requests

from pytest_deploygate.checks.pipeline.facts import Number, Shown
from pytest_deploygate.checks.pipeline.probe.events import Events
from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.checks.pipeline.section.left_out import CountingPage, LeftOut, Page
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.http import sending, text
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

#: A number that rose is looked at once more, but not for longer than this.
_LONGEST_S = 30.0
_MOST_SHOWN = 80


def shown(
    pipeline: Pipeline, events: Events, database: Cluster | None, spending: Spending
) -> tuple[Shown, ...]:
    """Look at all pages and queries while the synthetic events are there."""
    return (*_pages(pipeline, events, spending), *_rows(pipeline, database))


def _pages(pipeline: Pipeline, events: Events, spending: Spending) -> Iterator[Shown]:
    for page in pipeline.left_out.pages:
        try:
            body = _body(page, spending)
        except CannotTell as error:
            yield Shown(page.name, problem=str(error))
            continue
        device = next((device for device in pipeline.devices if device in body), "")
        yield Shown(
            page.name, f"the device {device}" if device else "an event" if events.is_ours(body) else ""
        )


def _rows(pipeline: Pipeline, database: Cluster | None) -> Iterator[Shown]:
    for each in pipeline.left_out.queries:
        if database is None:
            yield Shown(each.name, problem="there is no database to ask")
            continue
        try:
            rows = database.rows(database.primary, each.query, {"devices": pipeline.devices})
        except CannotTell as error:
            yield Shown(each.name, problem=str(error))
            continue
        first = shortened(redact(", ".join(map(str, rows[0]))), _MOST_SHOWN) if rows else ""
        yield Shown(
            each.name, f"{len(rows)} {'row' if len(rows) == 1 else 'rows'} ({first} …)" if rows else ""
        )


class Numbers:
    """Numbers that must not count synthetic events. Made before the events are sent."""

    def __init__(self, section: LeftOut, spending: Spending) -> None:
        self._spending = spending
        self._pages = section.numbers
        self._before = [self._read(page) for page in section.numbers]
        self._began = time.monotonic()

    def again(self, events: int, devices: int) -> tuple[Number, ...]:
        """Read them after so many events. Where one rose by as many as a device sent, read it again after the same time."""
        after = [self._read(page) for page in self._pages]
        later: list[int | str | None] = [None] * len(after)
        rose = [
            isinstance(one, int) and isinstance(two, int) and two - one >= max(1, events // devices)
            for one, two in zip(self._before, after, strict=True)
        ]
        if any(rose):
            pause_s = min(time.monotonic() - self._began, _LONGEST_S)
            over = time.monotonic() + pause_s
            while time.monotonic() < over:
                self._spending.check()
                time.sleep(0.1)
            later = [self._read(page) if up else None for page, up in zip(self._pages, rose, strict=True)]
        return tuple(
            _number(page.name, before, now, then)
            for page, before, now, then in zip(self._pages, self._before, after, later, strict=True)
        )

    def _read(self, page: CountingPage) -> int | str:
        try:
            body = _body(page, self._spending)
        except CannotTell as error:
            return str(error)
        found = re.search(page.number, body)
        digits = re.sub(r"[\s.,'’]", "", found[1]) if found else ""
        if not digits.isdecimal():
            return f"{page.name} ({page.url}) has no number that matches {page.number!r}"
        return int(digits)


def _number(name: str, before: int | str, after: int | str, later: int | str | None) -> Number:
    if problem := next((each for each in (before, after, later) if isinstance(each, str)), ""):
        return Number(name, problem=problem)
    return Number(
        name,
        before if isinstance(before, int) else None,
        after if isinstance(after, int) else None,
        later if isinstance(later, int) else None,
    )


def _body(page: Page, spending: Spending) -> str:
    """Return a page. Raises CannotTell if it is not a good answer."""
    what = f"{page.name} ({page.url})"
    with spending.request(connects=True) as asked:
        try:
            answer = sending.send(
                page,
                page.url,
                page.timeout.total_seconds(),
                headers=dict(spending.headers),
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            raise CannotTell(f"{what} cannot be read: {sending.why(error)}") from None
        asked.answered(len(answer.content), wrong=answer.status_code >= 500)
    if answer.status_code not in page.status:
        raise CannotTell(f"{what} answered with {answer.status_code}, {page.expected} was expected")
    kind = answer.headers.get("Content-Type", "")
    if lacking := text.lacking(page, answer.content, kind):
        raise CannotTell(f"{what}: {lacking}")
    return answer.content.decode(errors="replace")
